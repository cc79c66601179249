"""The game's loop: read the hands, do the ticks that are due, draw once, wait for the next tick."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pygame

from envs.errors import OptionError
from envs.gamepad import Gamepad
from envs.standin.replay import stage_of
from envs.standin.simulation import Stage
from skygarden.game.clock import TickClock
from skygarden.game.journal import Journal
from skygarden.game.layout import SMALLEST
from skygarden.game.life import Life
from skygarden.game.session import Session
from skygarden.game.view import View
from skygarden.game.window import Window
from skygarden.hands import Hands

_FOCUS: Final = {pygame.WINDOWFOCUSLOST: "focus lost", pygame.WINDOWFOCUSGAINED: "focus won"}


@dataclass(frozen=True, kw_only=True)
class GameConfig:
    """How a game is opened."""

    size: tuple[int, int] = (640, 480)  # pixels, of the window's width and height; it can be resized
    dressing: int = 0  # seed of what the world looks like
    seed: int | None = None  # of the starts that are "any"; None: another one each time
    log: Path | None = None  # a file for what happens; see `journal`


def run_game(config: GameConfig) -> None:
    """Play until the window is closed, or ESC is pressed in the menu.

    Raises: OptionError: the window would be too small to play in.
    """
    if min(config.size) < SMALLEST:
        raise OptionError(
            f"a window has at least {SMALLEST} pixels a side, got --size {' '.join(map(str, config.size))}"
        )
    stage = stage_of(config.dressing)
    Life(stage, 0, 0, 0, Gamepad()).tick(Gamepad())  # what has to be compiled is not compiled in the midst of play
    journal = Journal(config.log)
    window = Window(*config.size)
    try:
        _loop(window, stage, Session(stage, np.random.default_rng(config.seed), journal))
    finally:
        window.close()


def _loop(window: Window, stage: Stage, session: Session) -> None:
    hands = Hands()
    view = View(stage, *window.surface.get_size())
    clock = TickClock(time.monotonic())
    while not session.ended:
        events = pygame.event.get()
        for event in events:
            if event.type in _FOCUS:
                session.note(_FOCUS[event.type])
        touch = hands.read(events)
        session.update(touch, clock.due(time.monotonic()))
        if touch.closed:
            session.end()
        surface = window.surface
        if surface.get_size() != view.size:
            view = View(stage, *surface.get_size())
        view.draw(surface, session)
        window.show()
        time.sleep(clock.wait(time.monotonic()))
