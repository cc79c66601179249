"""Rules to use with `--teacher skygarden.rules:NAME`, and to copy: preferences other than for a pad.

Reaching some pad is worth most in all of them: an agent that does nothing would keep any rule that only forbids.
"""

from typing import Final

import numpy as np

from envs.gamepad import BUTTONS, CENTRE
from skygarden.aims import Rule, Trajectory

_ATTACKS: Final = [BUTTONS.index(name) for name in ("X", "Y", "RT", "LB", "RB")]
_CAMERA: Final = slice(len(BUTTONS) + 2, None)  # RX and RY
_CALM_CAMERA: Final = 0.15  # of full deflection: calmer than nine tenths of what the fine-tuned agent does


def attacks(trajectory: Trajectory) -> int:
    """Steps on which a button of an attack is down."""
    return int(trajectory.actions[:, _ATTACKS].any(1).sum())


def leftward(trajectory: Trajectory) -> float:
    """How far to the left of the straight line from start to end the way went, metres on average."""
    way = trajectory.positions[:, :2].astype(np.float64)
    along = way[-1] - way[0]
    length = float(np.hypot(*along))
    if length == 0.0:
        return 0.0
    x, y = (way - way[0]).T
    return float((along[0] * y - along[1] * x).mean() / length)


def camera(trajectory: Trajectory) -> float:
    """How far the camera's stick is from rest, of full deflection, on average."""
    return float(np.abs(trajectory.actions[:, _CAMERA].astype(np.float64) - CENTRE).mean() / CENTRE)


def _arrived(trajectory: Trajectory) -> float:
    return 2.0 if trajectory.outcome else 0.0


never_attack: Final = Rule(
    worth=lambda trajectory: _arrived(trajectory) - min(attacks(trajectory), 10) / 10,
    shows=lambda trajectory: trajectory.outcome is not None and attacks(trajectory) == 0,
)
left_hand_route: Final = Rule(
    worth=lambda trajectory: _arrived(trajectory) + float(np.clip(leftward(trajectory) / 5, -1, 1)),
    shows=lambda trajectory: trajectory.outcome is not None and leftward(trajectory) > 0,
)
least_camera: Final = Rule(
    worth=lambda trajectory: _arrived(trajectory) - camera(trajectory),
    shows=lambda trajectory: trajectory.outcome is not None and camera(trajectory) < _CALM_CAMERA,
)
