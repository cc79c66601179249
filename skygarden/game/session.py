"""The game's rules between menu and play, without a window: what presses and ticks lead to."""

from dataclasses import replace

import numpy as np

from envs.backend import SPAWNS
from envs.gamepad import Gamepad
from envs.standin.characters import NAMES
from envs.standin.simulation import Stage
from skygarden.game.journal import Journal
from skygarden.game.life import Life
from skygarden.game.menu import Menu
from skygarden.hands import ESCAPE, NEW_LIFE, Touch


class Session:
    """A game from its first menu to its end.

    `menu` says what is chosen; `life` is the one at play, or None in the menu; `ended` says whether it is over.
    """

    def __init__(self, stage: Stage, rng: np.random.Generator, journal: Journal) -> None:
        self.menu = Menu()
        self.life: Life | None = None
        self.ended = False
        self._stage, self._rng, self._journal = stage, rng, journal
        self._tick = 0
        self._tapped: frozenset[str] = frozenset()  # buttons that no tick has seen yet
        journal.write("menu", 0)

    def update(self, touch: Touch, ticks: int) -> None:
        """Do what was pressed, then as many ticks as are due; those of a life that begins now are yet to come."""
        before = self.life
        for press in touch.presses:
            self._press(press, touch.pad)
        if self.life is None or self.life is not before:
            return
        self._tapped |= touch.pad.pressed
        for k in range(ticks):
            self._tick += 1
            pad = replace(touch.pad, pressed=self._tapped) if k == 0 else touch.pad
            for event, facts in self.life.tick(pad):
                self.note(event, **facts)
            self._tapped = frozenset()

    def note(self, event: str, **facts: str | int) -> None:
        """Write an event that happens now in the journal."""
        self._journal.write(event, self._tick, **facts)

    def end(self) -> None:
        """End the game; may be called twice."""
        if not self.ended:
            self.ended = True
            self.note("ended")

    def _press(self, press: str, held: Gamepad) -> None:
        if self.life is None and press == ESCAPE:
            self.end()
        elif self.life is None and press in ("A", "START"):
            self._begin(held)
        elif self.life is None:
            self.menu = self.menu.pressed(press)
        elif press in ("START", "BACK", ESCAPE):
            self.life, self.menu = None, self.menu.opened()
            self.note("menu")
        elif press == NEW_LIFE:
            self._begin(held)

    def _begin(self, held: Gamepad) -> None:
        menu, spawn = self.menu, self.menu.spawn
        if spawn is None:
            spawn = int(self._rng.integers(SPAWNS))
        self.life = Life(self._stage, menu.character, menu.skin, spawn, held)
        self._tapped = frozenset()
        self.note("began", character=NAMES[menu.character], skin=menu.skin, spawn=spawn)
