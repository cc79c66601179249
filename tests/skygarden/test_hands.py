"""What keys and controllers mean."""

import pygame
import pytest

from envs.gamepad import Gamepad
from skygarden.hands import from_controller, from_keyboard


def test_keys_are_a_gamepad() -> None:
    held = {pygame.K_w, pygame.K_a, pygame.K_RIGHT, pygame.K_DOWN, pygame.K_SPACE, pygame.K_l}
    assert from_keyboard(held) == Gamepad(frozenset({"A", "RT"}), lx=-1.0, ly=1.0, rx=1.0, ry=-1.0)


def test_opposite_keys_cancel() -> None:
    assert from_keyboard({pygame.K_w, pygame.K_s}) == Gamepad()


def test_a_controllers_y_axis_points_up_in_ours() -> None:
    axes = {pygame.CONTROLLER_AXIS_LEFTY: -32768, pygame.CONTROLLER_AXIS_RIGHTX: 16384}
    hands = from_controller(lambda _: False, lambda number: axes.get(number, 0))
    assert hands.ly == 1.0
    assert hands.rx == pytest.approx(0.5, abs=1e-4)


def test_a_worn_stick_at_rest_does_nothing() -> None:
    assert from_controller(lambda _: False, lambda _: 3000) == Gamepad()


def test_triggers_are_buttons_beyond_half() -> None:
    def axis(number: int) -> int:
        return {pygame.CONTROLLER_AXIS_TRIGGERLEFT: 20000, pygame.CONTROLLER_AXIS_TRIGGERRIGHT: 12000}.get(number, 0)

    assert from_controller(lambda n: n == pygame.CONTROLLER_BUTTON_DPAD_UP, axis).pressed == {"LT", "UP"}
