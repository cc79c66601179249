"""What keys and controllers mean."""

import pygame
import pytest
from pygame._sdl2 import controller

from envs.gamepad import Gamepad
from skygarden.hands import ESCAPE, NEW_LIFE, Hands, Touch, flicked, from_controller, from_keyboard


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


# What comes as events


class FakeController:
    """SDL's controller at an index: numbers of buttons that are down, axes by number; refuses what SDL has not."""

    def __init__(self, buttons: set[int] | None = None, axes: dict[int, int] | None = None) -> None:
        self.buttons, self.axes, self.here = buttons or set[int](), axes or {}, True

    def attached(self) -> bool:
        return self.here

    def get_button(self, button: int) -> bool:
        assert 0 <= button < pygame.CONTROLLER_BUTTON_MAX
        assert self.here, "read after it was unplugged"
        return button in self.buttons

    def get_axis(self, axis: int) -> int:
        assert 0 <= axis < pygame.CONTROLLER_AXIS_MAX
        assert self.here, "read after it was unplugged"
        return self.axes.get(axis, 0)


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> list[FakeController]:
    """What is plugged in; a test adds to it."""
    pads: list[FakeController] = []
    monkeypatch.setattr(controller, "init", lambda: None)
    monkeypatch.setattr(controller, "get_count", lambda: len(pads))
    monkeypatch.setattr(controller, "is_controller", lambda index: 0 <= index < len(pads))
    monkeypatch.setattr(controller, "Controller", lambda index: pads[index])
    return pads


def key(kind: int, code: int) -> pygame.event.Event:
    return pygame.event.Event(kind, key=code)


def pad_button(number: int) -> pygame.event.Event:
    return pygame.event.Event(pygame.CONTROLLERBUTTONDOWN, button=number, instance_id=0)


ADDED = pygame.event.Event(pygame.CONTROLLERDEVICEADDED, device_index=0)
REMOVED = pygame.event.Event(pygame.CONTROLLERDEVICEREMOVED, instance_id=0)


def test_a_key_is_one_press_however_long_it_is_held(plugged: list[FakeController]) -> None:
    hands = Hands()
    assert hands.read([key(pygame.KEYDOWN, pygame.K_SPACE)]) == Touch(Gamepad(frozenset({"A"})), ("A",))
    assert hands.read([]) == Touch(Gamepad(frozenset({"A"})))
    assert hands.read([key(pygame.KEYUP, pygame.K_SPACE)]) == Touch()


def test_no_tap_is_too_quick_and_none_is_counted_as_one_with_another(plugged: list[FakeController]) -> None:
    tap = [key(pygame.KEYDOWN, pygame.K_RIGHT), key(pygame.KEYUP, pygame.K_RIGHT)]
    hands = Hands()
    assert hands.read(tap * 3) == Touch(Gamepad(rx=1.0), ("RIGHT",) * 3)
    assert hands.read([]) == Touch()


def test_keys_that_are_no_button_are_presses(plugged: list[FakeController]) -> None:
    codes = (pygame.K_RETURN, pygame.K_KP_ENTER, pygame.K_ESCAPE, pygame.K_r, pygame.K_F5)
    touch = Hands().read([key(pygame.KEYDOWN, code) for code in codes])
    assert touch == Touch(Gamepad(), ("START", "START", ESCAPE, NEW_LIFE))


def test_arrows_and_wasd_are_directions(plugged: list[FakeController]) -> None:
    codes = (pygame.K_w, pygame.K_DOWN, pygame.K_a, pygame.K_RIGHT)
    assert Hands().read([key(pygame.KEYDOWN, c) for c in codes]).presses == ("UP", "DOWN", "LEFT", "RIGHT")


def test_a_pads_start_and_back_are_presses_and_no_buttons(plugged: list[FakeController]) -> None:
    plugged.append(FakeController())
    both = [pad_button(pygame.CONTROLLER_BUTTON_START), pad_button(pygame.CONTROLLER_BUTTON_BACK)]
    assert Hands().read(both) == Touch(Gamepad(), ("START", "BACK"))


def test_a_pads_button_that_is_up_again_was_pressed(plugged: list[FakeController]) -> None:
    plugged.append(FakeController())
    assert Hands().read([pad_button(pygame.CONTROLLER_BUTTON_X)]) == Touch(Gamepad(frozenset({"X"})), ("X",))


def test_a_stick_is_one_press_until_it_has_come_back(plugged: list[FakeController]) -> None:
    pad = FakeController()
    plugged.append(pad)
    hands = Hands()
    seen: list[tuple[str, ...]] = []
    for push in (0.4, 0.6, 0.45, 0.55, 0.25, 0.6):
        pad.axes = {pygame.CONTROLLER_AXIS_LEFTY: int(push * 32767)}  # down
        seen.append(hands.read([]).presses)
    assert seen == [(), ("DOWN",), (), (), (), ("DOWN",)]


def test_either_stick_points() -> None:
    assert flicked(Gamepad(lx=-0.6, ry=0.8), frozenset()) == {"LEFT", "UP"}


def test_a_gamepads_axes_come_as_fine_as_they_are(plugged: list[FakeController]) -> None:
    plugged.append(FakeController(axes={pygame.CONTROLLER_AXIS_LEFTX: 12345}))
    assert Hands().read([]).pad.lx == 12345 / 32767


def test_a_touched_gamepad_takes_the_keyboards_place(plugged: list[FakeController]) -> None:
    pad = FakeController()
    plugged.append(pad)
    hands = Hands()
    assert hands.read([key(pygame.KEYDOWN, pygame.K_w)]).pad == Gamepad(ly=1.0)
    pad.axes = {pygame.CONTROLLER_AXIS_LEFTX: 32767}
    assert hands.read([]).pad == Gamepad(lx=1.0)


def test_a_gamepad_may_come_late(plugged: list[FakeController]) -> None:
    hands = Hands()
    plugged.append(FakeController(buttons={pygame.CONTROLLER_BUTTON_A}))
    assert hands.read([ADDED]).pad == Gamepad(frozenset({"A"}))


def test_a_gamepad_that_is_gone_holds_nothing(plugged: list[FakeController]) -> None:
    gone = FakeController(axes={pygame.CONTROLLER_AXIS_LEFTX: 32767})
    plugged.append(gone)
    hands = Hands()
    assert hands.read([]).pad == Gamepad(lx=1.0)
    gone.here = False  # SDL tells of it a moment later
    assert hands.read([]).pad == Gamepad()
    plugged.clear()
    assert hands.read([REMOVED]).pad == Gamepad()
    plugged.append(FakeController(axes={pygame.CONTROLLER_AXIS_LEFTX: -32767}))
    assert hands.read([ADDED]).pad == Gamepad(lx=-1.0)


def test_the_windows_own_button_closes_it(plugged: list[FakeController]) -> None:
    assert Hands().read([pygame.event.Event(pygame.QUIT)]) == Touch(closed=True)
