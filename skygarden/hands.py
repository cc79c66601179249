"""Reads a person's hands: the keyboard, or any gamepad that SDL knows, as a `Gamepad` and as single presses."""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pygame
from pygame import locals as keys

from envs.gamepad import Gamepad

HELP: Final = (
    "W A S D run, arrows look, space jump, shift dodge, J K strike, L throw, U O cast, I guard, 1-4 emote, "
    "R new life, Esc end"
)
ESCAPE: Final = "ESCAPE"  # presses that are no button of a `Gamepad`; a pad has no key to end a game with
NEW_LIFE: Final = "NEW LIFE"

_KEYS: Final = {
    "A": keys.K_SPACE, "B": keys.K_LSHIFT, "X": keys.K_j, "Y": keys.K_k, "LB": keys.K_u, "RB": keys.K_o,
    "LT": keys.K_i, "RT": keys.K_l, "UP": keys.K_1, "DOWN": keys.K_2, "LEFT": keys.K_3, "RIGHT": keys.K_4,
}  # fmt: skip
_KEY_PRESSES: Final = {key: button for button, key in _KEYS.items()} | {
    keys.K_w: "UP", keys.K_s: "DOWN", keys.K_a: "LEFT", keys.K_d: "RIGHT",
    keys.K_UP: "UP", keys.K_DOWN: "DOWN", keys.K_LEFT: "LEFT", keys.K_RIGHT: "RIGHT",
    keys.K_RETURN: "START", keys.K_KP_ENTER: "START", keys.K_ESCAPE: ESCAPE, keys.K_r: NEW_LIFE,
}  # fmt: skip
PAD_BUTTONS: Final = {
    "A": keys.CONTROLLER_BUTTON_A, "B": keys.CONTROLLER_BUTTON_B, "X": keys.CONTROLLER_BUTTON_X,
    "Y": keys.CONTROLLER_BUTTON_Y, "LB": keys.CONTROLLER_BUTTON_LEFTSHOULDER,
    "RB": keys.CONTROLLER_BUTTON_RIGHTSHOULDER, "UP": keys.CONTROLLER_BUTTON_DPAD_UP,
    "DOWN": keys.CONTROLLER_BUTTON_DPAD_DOWN, "LEFT": keys.CONTROLLER_BUTTON_DPAD_LEFT,
    "RIGHT": keys.CONTROLLER_BUTTON_DPAD_RIGHT,
}  # fmt: skip
_PAD_PRESSES: Final = {number: button for button, number in PAD_BUTTONS.items()} | {
    keys.CONTROLLER_BUTTON_START: "START",
    keys.CONTROLLER_BUTTON_BACK: "BACK",
}
_TRIGGERS: Final = {"LT": keys.CONTROLLER_AXIS_TRIGGERLEFT, "RT": keys.CONTROLLER_AXIS_TRIGGERRIGHT}
_DEAD_ZONE: Final = 0.12
_FULL: Final = 32767
_FLICK: Final = 0.5  # a stick pushed this far is a press,
_UNFLICK: Final = 0.3  # and can be the next one once it has come back to here


@dataclass(frozen=True, slots=True)
class Touch:
    """What hands do at a moment, and what they have done since the one before."""

    pad: Gamepad = field(default_factory=Gamepad)  # held now, or tapped since
    presses: tuple[str, ...] = ()  # in order: buttons, START, BACK, ESCAPE, NEW LIFE; a stick's flick is a direction
    closed: bool = False  # by the window's own button


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

    pressed = {ours for ours, theirs in PAD_BUTTONS.items() if button(theirs)}
    pressed |= {ours for ours, theirs in _TRIGGERS.items() if axis(theirs) > _FULL // 2}
    return Gamepad(
        frozenset(pressed),
        stick(keys.CONTROLLER_AXIS_LEFTX),
        -stick(keys.CONTROLLER_AXIS_LEFTY),
        stick(keys.CONTROLLER_AXIS_RIGHTX),
        -stick(keys.CONTROLLER_AXIS_RIGHTY),
    )


def flicked(pad: Gamepad, before: frozenset[str]) -> frozenset[str]:
    """The directions that either stick is pushed in, given those that it was pushed in before."""
    pushes = {
        "UP": max(pad.ly, pad.ry),
        "DOWN": max(-pad.ly, -pad.ry),
        "LEFT": max(-pad.lx, -pad.rx),
        "RIGHT": max(pad.lx, pad.rx),
    }
    return frozenset(name for name, push in pushes.items() if push > (_UNFLICK if name in before else _FLICK))


class Hands:
    """The person at this machine. A gamepad that is touched takes the place of the keyboard.

    Gamepads may come and go; one that is gone holds nothing.
    """

    def __init__(self) -> None:
        from pygame._sdl2 import controller  # SDL's own names for any pad's buttons

        self._controller: Any = controller
        controller.init()
        self._pads = plugged_in(self._controller)
        self._held: set[int] = set()
        self._flicked: frozenset[str] = frozenset()

    def read(self, events: Iterable[pygame.event.Event]) -> Touch:
        """What the hands do now, given all of pygame's events since the last call."""
        keys_down: list[int] = []  # they may be up again by now
        pad_down: list[str] = []
        presses: list[str] = []
        closed = False
        for event in events:
            if event.type == pygame.QUIT:
                closed = True
            elif event.type == pygame.KEYDOWN:
                self._held.add(event.key)
                keys_down.append(event.key)
                presses += [_KEY_PRESSES[event.key]] if event.key in _KEY_PRESSES else []
            elif event.type == pygame.KEYUP:
                self._held.discard(event.key)
            elif event.type == pygame.CONTROLLERBUTTONDOWN and event.button in _PAD_PRESSES:
                pad_down.append(_PAD_PRESSES[event.button])
                presses.append(pad_down[-1])
            elif event.type in (pygame.CONTROLLERDEVICEADDED, pygame.CONTROLLERDEVICEREMOVED):
                self._pads = plugged_in(self._controller)
        touched = self._touched(pad_down)
        flicks = flicked(touched, self._flicked)
        presses += sorted(flicks - self._flicked)
        self._flicked = flicks
        pad = touched if touched != Gamepad() else from_keyboard(self._held.union(keys_down))
        return Touch(pad, tuple(presses), closed)

    def _touched(self, tapped: list[str]) -> Gamepad:
        """The first gamepad that is not at rest, with the buttons that were tapped on any; else one at rest."""
        attached = (from_controller(pad.get_button, pad.get_axis) for pad in self._pads if pad.attached())
        hands = next((hands for hands in attached if hands != Gamepad()), Gamepad())
        return replace(hands, pressed=hands.pressed.union(PAD_BUTTONS.keys() & tapped))


def plugged_in(controller: Any) -> list[Any]:
    """Every gamepad that there is, open. Args: controller: pygame's module of that name."""
    present = range(controller.get_count())
    return [controller.Controller(index) for index in present if controller.is_controller(index)]
