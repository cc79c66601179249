"""What it costs an agent when its actions come late, or by keys, as they do in a real game: its success by the delay.

Plays the stand-in tick by tick, without a window: an action takes effect so many sixtieths of a second after the frame
that it was decided on, and lasts for a tenth of a second. Frames are drawn at 480 x 480 and shrunk, as a window's are.
Usage:

    python bench/lag.py POLICY [--ticks 0 1 2] [--episodes 256] [--keys]
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
from envs.gamepad import BUTTONS
from envs.standin.characters import NAMES, PACE, SKINS, WARDROBE
from envs.standin.physics import BODY, SUBSTEPS, TICK
from envs.standin.replay import stage_of
from envs.standin.simulation import Easel, advance_ticks, put_body
from envs.task import MAX_STEPS, draw_start
from envs.window.pad import PadState
from envs.window.pad_keyboard import StickKeys
from envs.window.profile import load_profile
from skygarden.evaluate import wilson
from skygarden.policies import named_policy

AT_ONCE = 32
DRAWN = 480  # pixels

Hands = tuple[int, tuple[float, float], tuple[float, float]]  # button bits and the two sticks, as the kernel takes them


class Sticks:
    """Hands on a gamepad, which hold an action."""

    def __init__(self) -> None:
        self._bits, self._sticks = 0, (0.0, 0.0, 0.0, 0.0)

    def hold(self, action: np.ndarray, tick: int) -> None:
        """From a tick on, hold an action."""
        state = PadState.of(action)
        self._bits, self._sticks = sum(1 << BUTTONS.index(name) for name in state.pressed), state.sticks

    def at(self, tick: int) -> Hands:
        """What is held at a tick."""
        lx, ly, rx, ry = self._sticks
        return self._bits, (lx, ly), (rx, ry)


class Keys(Sticks):
    """Hands on the keys that stand for a gamepad's sticks in the stand-in's game."""

    def __init__(self) -> None:
        super().__init__()
        self._keys = StickKeys(load_profile("standin-keyboard").pad.keys, 0.0)

    def hold(self, action: np.ndarray, tick: int) -> None:
        """From a tick on, hold an action."""
        super().hold(action, tick)
        self._keys.push(PadState.of(action), tick * TICK)

    def at(self, tick: int) -> Hands:
        """What is held at a tick."""
        self._keys.advance(tick * TICK)
        lx, ly, rx, ry = self._keys.down.values()
        return self._bits, (lx, ly), (rx, ry)


def reached(policy: str, lag: int, episodes: int, hands: type[Sticks]) -> int:
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
        held, launched = [hands() for _ in range(AT_ONCE)], np.zeros(AT_ONCE, np.bool_)
        for step in range(MAX_STEPS):
            views = (easel.draw(body, 0, 0) for body in bodies)
            frames = np.stack([cv2.resize(view, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for view in views])
            for k, action in enumerate(actor.act(np.asarray(frames, np.uint8)).actions):
                for tick in range(step * SUBSTEPS, (step + 1) * SUBSTEPS):
                    if tick == step * SUBSTEPS + lag:
                        held[k].hold(action, tick)
                    if not launched[k]:
                        advance_ticks(stage, bodies[k], *held[k].at(tick), 1)
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
    parser.add_argument("--keys", action="store_true", help="keys in place of sticks")
    options = parser.parse_args()
    count = -(-options.episodes // AT_ONCE) * AT_ONCE
    with one_thread():
        for lag in options.ticks:
            hits = reached(options.policy, lag, count, Keys if options.keys else Sticks)
            low, high = wilson(hits, count)
            print(f"{lag / 60 * 1e3:3.0f} ms late: {hits / count:.1%} of {count} reach a pad ({low:.1%} to {high:.1%})")


if __name__ == "__main__":
    main()
