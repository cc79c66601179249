"""The stand-in as a backend: one player in a simulation of one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.backend import JUMPPADS, SIDE, Frame, Start, View
from envs.standin.characters import NAMES, SKINS
from envs.standin.simulation import Simulation


class StandinBackend:
    """The procedural world.

    Args: dressing: the seed of what the world looks like. spawn_animation: whether the figure appears with one.
    """

    characters = NAMES
    skins = SKINS

    def __init__(self, dressing: int = 0, spawn_animation: bool = False) -> None:
        self._simulation = Simulation(1, dressing)
        self._spawn_animation = spawn_animation

    def reset(self, start: Start) -> View:
        """See Backend."""
        character = self.characters.index(start.character)
        self._simulation.put(0, start.known_spawn, character, start.skin, self._spawn_animation)
        return self._advance(np.zeros((1, 16), np.uint8), moving=False)

    def step(self, action: NDArray[np.uint8]) -> View:
        """See Backend."""
        return self._advance(action[None], moving=True)

    def picture(self, width: int, height: int) -> Frame:
        """See Backend."""
        return self._simulation.picture(0, width, height)

    def close(self) -> None:
        """See Backend."""
        self._simulation.close()

    def _advance(self, actions: NDArray[np.uint8], moving: bool) -> View:
        frames = np.empty((1, SIDE, SIDE, 3), np.uint8)
        self._simulation.advance(actions, np.array([moving]), frames)
        return View(frames[0], jumppad_of(self._simulation, 0), None, info_of(self._simulation, 0))


def jumppad_of(simulation: Simulation, index: int) -> str | None:
    """The pad that a player has just reached."""
    pad = int(simulation.bodies[index]["jumppad"])
    return JUMPPADS[pad] if pad >= 0 else None


def info_of(simulation: Simulation, index: int) -> dict[str, Any]:
    """The privileged state of a player."""
    body = simulation.bodies[index]
    return {
        "spawn": int(body["spawn"]),
        "character": NAMES[simulation.characters[index]],
        "skin": int(simulation.skins[index]),
        "position": np.array([body["x"], body["y"], body["z"]]),
        "falls": int(body["falls"]),
    }
