"""The start menu's rules: four rows, of which three hold a value; the values stay when one comes back."""

from dataclasses import dataclass, replace
from typing import Final

from envs.backend import SPAWNS
from envs.standin.characters import NAMES, SKINS

ANYWHERE: Final = 0  # the start that means any; the others count from 1

ROWS: Final = ("character", "skin", "start", "play")
SIZES: Final = (len(NAMES), SKINS, 1 + SPAWNS)  # how many values the rows have that hold one


@dataclass(frozen=True, slots=True)
class Menu:
    """What the menu shows: the row that is chosen, and each row's value, as indices."""

    row: int = 0
    values: tuple[int, int, int] = (0, 0, ANYWHERE)

    @property
    def character(self) -> int:
        """Index into NAMES."""
        return self.values[0]

    @property
    def skin(self) -> int:
        """From 0."""
        return self.values[1]

    @property
    def spawn(self) -> int | None:
        """From 0; None is any."""
        return None if self.values[2] == ANYWHERE else self.values[2] - 1

    @property
    def words(self) -> tuple[str, str, str]:
        """The values as they are shown."""
        start = "any" if self.values[2] == ANYWHERE else str(self.values[2])
        return NAMES[self.character], str(self.skin + 1), start

    def opened(self) -> "Menu":
        """The menu as it opens: on its first row, with the values that were chosen last."""
        return replace(self, row=0)

    def pressed(self, press: str) -> "Menu":
        """After a press. Rows end at the first and last, values go round; other presses change nothing."""
        if press in ("UP", "DOWN"):
            step = 1 if press == "DOWN" else -1
            return replace(self, row=min(len(ROWS) - 1, max(0, self.row + step)))
        if press in ("LEFT", "RIGHT") and self.row < len(SIZES):
            values = list(self.values)
            values[self.row] = (values[self.row] + (1 if press == "RIGHT" else -1)) % SIZES[self.row]
            return replace(self, values=(values[0], values[1], values[2]))
        return self
