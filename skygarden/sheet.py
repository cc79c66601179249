"""The views of the contact sheet: spawns, pads, moves, all characters, the main island."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from envs.backend import JUMPPADS, SPAWNS
from envs.standin import physics
from envs.standin.characters import NAMES, SKINS
from envs.standin.island import PADS
from envs.standin.physics import BODY
from envs.standin.replay import stage_of
from envs.standin.simulation import picture_of, put_body

_SIZE: Final = 256
_MOVES: Final = (
    ("dodge", physics.DODGE, 0.12), ("strike", physics.STRIKE, 0.2), ("heavy", physics.HEAVY, 0.25),
    ("throw", physics.THROW, 0.15), ("cast", physics.CAST, 0.3), ("emote", physics.EMOTE, 0.4),
)  # fmt: skip

View = tuple[str, NDArray[np.uint8]]


def views() -> list[View]:
    """Titled pictures, (256, 256, 3) uint8."""
    stage = stage_of(0)

    def picture(body: NDArray[np.void], character: int = 0, skin: int = 0) -> NDArray[np.uint8]:
        return picture_of(stage, body, character, skin, _SIZE, _SIZE)

    def at_spawn(spawn: int) -> NDArray[np.void]:
        body = np.zeros(1, BODY)
        put_body(stage, body, spawn, 1.0, False)
        return body

    found: list[View] = [(f"spawn {k + 1}", picture(at_spawn(k))) for k in range(SPAWNS)]
    for name, pad in zip(JUMPPADS, PADS, strict=True):
        found.append((f"{name} pad", picture(_standing(at_spawn(0), pad.x, pad.y, pad.ground, pad.yaw, back=5.2))))
    found.append(("main island", picture(_standing(at_spawn(0), 0.0, 66.0, -1.0, 0.3, back=0.0))))
    found.append(("looking back", picture(_standing(at_spawn(0), 0.0, 60.0, -1.0, math.pi, back=0.0))))
    for title, move, since in _MOVES:
        body = at_spawn(1)
        body["busy"], body["busy_time"] = move, since
        found.append((title, picture(body)))
    for k, name in enumerate(NAMES):
        body = _standing(at_spawn(0), -3.0, -21.0, 3.0, 2.4, back=0.0)
        body["facing"], body["boom"], body["pitch"] = body["yaw"] + 2.7, 2.6, 0.05
        found.append((name, picture(body, k, k % SKINS)))
    return found


def _standing(body: NDArray[np.void], x: float, y: float, z: float, yaw: float, back: float) -> NDArray[np.void]:
    """A body some way before a place, looking at it."""
    body["x"], body["y"], body["z"] = x - back * math.sin(yaw), y - back * math.cos(yaw), z
    body["yaw"] = body["facing"] = yaw
    return body
