"""Reads a person's hands: the keyboard, or any gamepad that SDL knows, as a `Gamepad`."""

from collections.abc import Callable, Container
from typing import Any, Final

import pygame
from pygame import locals as keys

from envs.gamepad import Gamepad

HELP: Final = (
    "W A S D run, arrows look, space jump, shift dodge, J K strike, L throw, U O cast, I guard, 1-4 emote, "
    "R new life, Esc end"
)

_KEYS: Final = {
    "A": keys.K_SPACE, "B": keys.K_LSHIFT, "X": keys.K_j, "Y": keys.K_k, "LB": keys.K_u, "RB": keys.K_o,
    "LT": keys.K_i, "RT": keys.K_l, "UP": keys.K_1, "DOWN": keys.K_2, "LEFT": keys.K_3, "RIGHT": keys.K_4,
}  # fmt: skip
_PAD_BUTTONS: Final = {
    "A": keys.CONTROLLER_BUTTON_A, "B": keys.CONTROLLER_BUTTON_B, "X": keys.CONTROLLER_BUTTON_X,
    "Y": keys.CONTROLLER_BUTTON_Y, "LB": keys.CONTROLLER_BUTTON_LEFTSHOULDER,
    "RB": keys.CONTROLLER_BUTTON_RIGHTSHOULDER, "UP": keys.CONTROLLER_BUTTON_DPAD_UP,
    "DOWN": keys.CONTROLLER_BUTTON_DPAD_DOWN, "LEFT": keys.CONTROLLER_BUTTON_DPAD_LEFT,
    "RIGHT": keys.CONTROLLER_BUTTON_DPAD_RIGHT,
}  # fmt: skip
_TRIGGERS: Final = {"LT": keys.CONTROLLER_AXIS_TRIGGERLEFT, "RT": keys.CONTROLLER_AXIS_TRIGGERRIGHT}
_DEAD_ZONE: Final = 0.12
_FULL: Final = 32767


def from_keyboard(held: Container[int]) -> Gamepad:
    """What the keys that are held down mean; `held` contains pygame's key codes."""

    def axis(negative: int, positive: int) -> float:
        return float(positive in held) - float(negative in held)

    pressed = frozenset(button for button, key in _KEYS.items() if key in held)
    look = axis(keys.K_LEFT, keys.K_RIGHT), axis(keys.K_DOWN, keys.K_UP)
    return Gamepad(pressed, axis(keys.K_a, keys.K_d), axis(keys.K_s, keys.K_w), *look)


def from_controller(button: Callable[[int], bool], axis: Callable[[int], int]) -> Gamepad:
    """What an SDL controller means.

    Args: button, axis: the state of one by SDL's number; axes in [-32768, 32767] with Y pointing down.
    """

    def stick(number: int) -> float:
        value = max(-1.0, axis(number) / _FULL)
        return 0.0 if abs(value) < _DEAD_ZONE else value

    pressed = {ours for ours, theirs in _PAD_BUTTONS.items() if button(theirs)}
    pressed |= {ours for ours, theirs in _TRIGGERS.items() if axis(theirs) > _FULL // 2}
    return Gamepad(
        frozenset(pressed),
        stick(keys.CONTROLLER_AXIS_LEFTX),
        -stick(keys.CONTROLLER_AXIS_LEFTY),
        stick(keys.CONTROLLER_AXIS_RIGHTX),
        -stick(keys.CONTROLLER_AXIS_RIGHTY),
    )


class Hands:
    """The person at this machine. A gamepad that is touched takes the place of the keyboard."""

    def __init__(self) -> None:
        from pygame._sdl2 import controller  # SDL's own names for any pad's buttons

        self._controller: Any = controller
        controller.init()
        self._pads: dict[int, Any] = {}
        self._held: set[int] = set()
        self.ended = False
        self.wants_new_life = False

    def read(self) -> Gamepad:
        """What the hands do now. Sets `ended` and `wants_new_life` (R, or START) where the person asked for it."""
        self.wants_new_life = False
        taps: set[int] = set()  # pressed and let go again since the last time
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                self.ended = True
            elif event.type == pygame.KEYDOWN:
                self.ended |= event.key == keys.K_ESCAPE
                self.wants_new_life |= event.key == keys.K_r
                self._held.add(event.key)
                taps.add(event.key)
            elif event.type == pygame.KEYUP:
                self._held.discard(event.key)
            elif event.type == pygame.CONTROLLERBUTTONDOWN:
                self.wants_new_life |= event.button == keys.CONTROLLER_BUTTON_START
        for pad in self._plugged_in():
            hands = from_controller(pad.get_button, pad.get_axis)
            if hands != Gamepad():
                return hands
        return from_keyboard(self._held | taps)

    def _plugged_in(self) -> list[Any]:
        present = range(self._controller.get_count())
        for index in present:
            if index not in self._pads and self._controller.is_controller(index):
                self._pads[index] = self._controller.Controller(index)
        self._pads = {index: pad for index, pad in self._pads.items() if index in present}
        return list(self._pads.values())
