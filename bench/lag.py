"""What it costs an agent when its actions come late, as they do in a real game: its success by the delay.

Plays the stand-in tick by tick, without a window: an action takes effect so many sixtieths of a second after the frame
that it was decided on, and lasts for a tenth of a second. Frames are drawn at 480 x 480 and shrunk, as a window's are.
Usage:

    python bench/lag.py POLICY [--ticks 0 1 2] [--episodes 256]
"""

import sys

sys.path.append(sys.path.pop(0))  # rollout.py beside this is not the package `rollout`

import argparse

import cv2
import numpy as np
from gymnasium.utils import seeding

from agents.inference import Actor, ActorConfig
from agents.parallel import one_thread
from envs.backend import SIDE
from envs.gamepad import AXES, BUTTONS, axis_value
from envs.standin.characters import NAMES, PACE, SKINS, WARDROBE
from envs.standin.physics import BODY, SUBSTEPS
from envs.standin.replay import stage_of
from envs.standin.simulation import Easel, advance_ticks, put_body
from envs.task import MAX_STEPS, draw_start
from skygarden.evaluate import wilson
from skygarden.policies import named_policy

AT_ONCE = 32
DRAWN = 480  # pixels

Hands = tuple[int, tuple[float, float], tuple[float, float]]
NOTHING: Hands = (0, (0.0, 0.0), (0.0, 0.0))


def hands_of(action: np.ndarray) -> Hands:
    """An action as the kernel takes it: button bits and the two sticks."""
    bits = sum(int(down) << k for k, down in enumerate(action[: len(BUTTONS)]))
    lx, ly, rx, ry = axis_value(action[-len(AXES) :]).tolist()
    return bits, (lx, ly), (rx, ry)


def reached(policy: str, lag: int, episodes: int) -> int:
    """How many episodes reach a pad with actions that come `lag` ticks late."""
    stage = stage_of(0)
    easel = Easel(stage, DRAWN, DRAWN)
    actor = Actor(named_policy(policy), AT_ONCE, ActorConfig(), seed=0)
    hits = 0
    for first in range(0, episodes, AT_ONCE):
        bodies = [np.zeros(1, BODY) for _ in range(AT_ONCE)]
        for seed, body in enumerate(bodies, first):
            start = draw_start(seeding.np_random(seed)[0], None, NAMES, SKINS)
            put_body(stage, body, start.known_spawn, float(WARDROBE.build[0, PACE]), False)
        actor.reset(np.ones(AT_ONCE, np.bool_))
        held, launched = [NOTHING] * AT_ONCE, np.zeros(AT_ONCE, np.bool_)
        for _ in range(MAX_STEPS):
            views = (easel.draw(body, 0, 0) for body in bodies)
            frames = np.stack([cv2.resize(view, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for view in views])
            for k, action in enumerate(actor.act(np.asarray(frames, np.uint8)).actions):
                if not launched[k]:
                    advance_ticks(stage, bodies[k], *held[k], lag)
                    launched[k] = bodies[k][0]["jumppad"] >= 0
                    held[k] = hands_of(action)
                    if not launched[k]:
                        advance_ticks(stage, bodies[k], *held[k], SUBSTEPS - lag)
                        launched[k] = bodies[k][0]["jumppad"] >= 0
            if launched.all():
                break
        hits += int(launched.sum())
    return hits


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy")
    parser.add_argument("--ticks", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--episodes", type=int, default=256)
    options = parser.parse_args()
    count = -(-options.episodes // AT_ONCE) * AT_ONCE
    with one_thread():
        for lag in options.ticks:
            hits = reached(options.policy, lag, count)
            low, high = wilson(hits, count)
            print(f"{lag / 60 * 1e3:3.0f} ms late: {hits / count:.1%} of {count} reach a pad ({low:.1%} to {high:.1%})")


if __name__ == "__main__":
    main()
