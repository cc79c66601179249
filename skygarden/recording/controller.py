"""A person's gamepad, any that SDL knows, read whichever window has the focus."""

import os
from collections.abc import Callable
from typing import Any, Final

from pygame import locals as sdl

from rollout.lerobot.track import Held
from skygarden.hands import PAD_BUTTONS, plugged_in
from skygarden.recording.hands import is_touched

_BUTTONS: Final = PAD_BUTTONS | {"START": sdl.CONTROLLER_BUTTON_START, "BACK": sdl.CONTROLLER_BUTTON_BACK}
_FULL: Final = 32767


def held_by(button: Callable[[int], bool], axis: Callable[[int], int]) -> Held:
    """What is held of an SDL controller, axes as they are.

    Args: button, axis: the state of one by SDL's number; axes in [-32768, 32767] with Y pointing down.
    """

    def value(number: int) -> float:
        return max(-1.0, axis(number) / _FULL)

    lx, rx = value(sdl.CONTROLLER_AXIS_LEFTX), value(sdl.CONTROLLER_AXIS_RIGHTX)
    ly, ry = 0.0 - value(sdl.CONTROLLER_AXIS_LEFTY), 0.0 - value(sdl.CONTROLLER_AXIS_RIGHTY)  # of 0 no -0
    triggers = (value(sdl.CONTROLLER_AXIS_TRIGGERLEFT), value(sdl.CONTROLLER_AXIS_TRIGGERRIGHT))
    pressed = {name for name, number in _BUTTONS.items() if button(number)}
    pressed |= {name for name, travel in zip(("LT", "RT"), triggers, strict=True) if travel > 0.5}
    return Held((lx, ly, rx, ry, *triggers), frozenset(pressed))


class ControllerHands:
    """The gamepads of this machine; the first that is touched counts. They may come and go."""

    def __init__(self) -> None:
        # SDL hears gamepads for the window that has the focus, unless it is told this before it starts; and events
        # need a video driver, of which the one without a screen will do.
        os.environ.setdefault("SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS", "1")
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        import pygame
        from pygame._sdl2 import controller  # SDL's own names for any pad's buttons

        self._pygame: Any = pygame
        self._controller: Any = controller
        pygame.display.init()
        controller.init()
        self._pads = plugged_in(controller)

    def read(self) -> Held:
        """What is held of the first that is touched."""
        changed = (self._pygame.CONTROLLERDEVICEADDED, self._pygame.CONTROLLERDEVICEREMOVED)
        if any(event.type in changed for event in self._pygame.event.get()):
            self._pads = plugged_in(self._controller)
        held = [held_by(pad.get_button, pad.get_axis) for pad in self._pads if pad.attached()]
        return next((one for one in held if is_touched(one)), held[0] if held else Held())

    def close(self) -> None:
        """Let go of SDL's screen; its gamepads stay open until the process ends."""
        self._pygame.display.quit()
