"""Whether a game in a window can be played in time: ten steps a second, game and agent on the same processors.

Plays the stand-in's game in its window, on an Xvfb of its own where DISPLAY is not set, by the keyboard driver unless
another profile is named, with a policy in the loop. Figures stand beside their limits. Usage:

    python bench/window.py [--steps 1000] [--policy base-4m] [--profile standin-keyboard]
"""

import argparse
import os
import time
from contextlib import ExitStack, closing

import numpy as np
from capture import display

from agents.inference import Actor, ActorConfig
from agents.parallel import one_thread
from envs.skygarden import SkygardenEnv
from envs.window.capture import Capture, grabber_of
from envs.window.locate import Rectangle
from skygarden.policies import named_policy


def play(policy: str, profile: str, steps: int) -> tuple[list[dict[str, float]], int, int]:
    """What each step's timing was, how many episodes it took and how many were interrupted."""
    env = SkygardenEnv(backend="window", profile=profile)
    actor = Actor(named_policy(policy), 1, ActorConfig(), seed=0)
    timing: list[dict[str, float]] = []
    episodes = interrupted = 0
    with closing(env), one_thread():
        while len(timing) < steps:
            frame, _ = env.reset(seed=episodes)
            actor.reset(np.ones(1, np.bool_))
            episodes, over, before = episodes + 1, False, None
            while not over and len(timing) < steps:
                action = actor.act(frame[None]).actions[0]
                frame, _, terminated, truncated, info = env.step(action)
                told = info["timing"]
                if before is not None:
                    timing.append({**told, "interval": told["captured"] - before})
                before, over = told["captured"], terminated or truncated
                interrupted += info["interrupted"] is not None
    return timing, episodes, interrupted


def capturing(turns: int) -> list[float]:
    """Milliseconds from the beginning of a grab of 640 x 480 to the frame that the agent sees."""
    capture = Capture(grabber_of("mss"))
    times: list[float] = []
    with closing(capture):
        for _ in range(turns):
            shot = capture.shoot(Rectangle(0, 0, 640, 480))
            shot.small(128)
            times.append((time.monotonic() - shot.time) * 1e3)
    return times


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--policy", default="base-4m")
    parser.add_argument("--profile", default="standin-keyboard")
    options = parser.parse_args()
    with ExitStack() as stack:
        if "DISPLAY" not in os.environ:
            stack.enter_context(display())
        timing, episodes, interrupted = play(options.policy, options.profile, options.steps)
        grabs = capturing(300)
    columns = {key: np.array([float(step[key]) for step in timing]) for key in timing[0]}
    off = np.percentile(np.abs(columns["interval"] - 0.1), 99) * 1e3
    thinking = (0.1 - columns["slack"]) * 1e3
    print(f"{len(timing)} steps in {episodes} episodes, {interrupted} interrupted; {options.policy}, {options.profile}")
    print(f"deadlines missed                  {columns['missed'].mean():7.2%}   limit 1%")
    print(f"interval, p99 off 100 ms          {off:7.2f}   limit 5 ms")
    print(f"capture to frame at 640x480, p50  {np.percentile(grabs, 50):7.2f}   limit 4 ms")
    print(f"frame to next wait, p50 and p99   {np.percentile(thinking, 50):7.2f} {np.percentile(thinking, 99):7.2f} ms")
    print(f"age of a frame handed out, p50    {np.percentile(columns['age'], 50) * 1e3:7.2f} ms")
    print(f"frames equal to the one before    {columns['duplicate'].mean():7.2%}")


if __name__ == "__main__":
    main()
