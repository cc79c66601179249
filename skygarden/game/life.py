"""One body at play, moved tick by tick by a gamepad's state."""

import numpy as np

from envs.backend import JUMPPADS
from envs.gamepad import BUTTONS, Gamepad
from envs.standin.characters import PACE, WARDROBE
from envs.standin.physics import BODY
from envs.standin.simulation import Stage, advance_ticks, put_body


class Life:
    """A character at a spawn. What is `held` when it begins has to be let go before it does something.

    `body`, (1,) BODY, may be read at any time.
    """

    def __init__(self, stage: Stage, character: int, skin: int, spawn: int, held: Gamepad) -> None:
        self.character, self.skin, self.spawn = character, skin, spawn
        self.body = np.zeros(1, BODY)
        self._stage = stage
        put_body(stage, self.body, spawn, float(WARDROBE.build[character, PACE]), False)
        self.body["buttons"] = _bits(held)

    def tick(self, pad: Gamepad) -> list[tuple[str, dict[str, str | int]]]:
        """Play a sixtieth of a second; returns the events in it, each with its facts."""
        before = self.body[0].copy()
        left, right = (float(pad.lx), float(pad.ly)), (float(pad.rx), float(pad.ry))
        advance_ticks(self._stage, self.body, _bits(pad), left, right, 1)
        after = self.body[0]
        events: list[tuple[str, dict[str, str | int]]] = []
        if after["falls"] > before["falls"]:
            events.append(("fell", {"spawn": self.spawn}))
        if before["jumppad"] < 0 <= after["jumppad"]:
            events.append(("jumppad", {"pad": JUMPPADS[int(after["jumppad"])]}))
        if after["flight"] < 0 <= before["flight"] and after["jumppad"] < 0 and after["falls"] == before["falls"]:
            events.append(("landed", {}))
        return events


def _bits(pad: Gamepad) -> int:
    return sum(1 << k for k, name in enumerate(BUTTONS) if name in pad.pressed)
