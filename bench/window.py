"""Whether a game in a window can be played in time: ten steps a second, game and agent on the same processors.

Plays the stand-in's game in its window, on an Xvfb of its own where DISPLAY is not set, by the keyboard driver unless
another profile is named, with a policy in the loop. Figures stand beside their limits. What was taken for a jump pad is
compared with what the game's own log says. Usage:

    python bench/window.py [--steps 1000] [--policy base-4m] [--profile standin-keyboard] [--seed 0]

A virtual pad (`--profile standin`) needs a /dev/uinput that can be written. Where the only one is in a guest that is
too slow for real time, a User-Mode Linux kernel that was booted with `time-travel=inf-cpu` has a clock that waits for
its processor: what is played there is played as by a computer that is never late.
"""

import sys

sys.path.append(sys.path.pop(0))  # rollout.py beside this is not the package `rollout`

import argparse
import json
import math
import os
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from capture import display

from agents.inference import Actor, ActorConfig
from agents.parallel import one_thread
from envs.backend import JUMPPADS
from envs.skygarden import SkygardenEnv
from envs.window.capture import Capture, grabber_of
from envs.window.clock import PERIOD
from envs.window.locate import Rectangle
from skygarden.evaluate import wilson
from skygarden.policies import named_policy


@dataclass
class Played:
    """What came of it: each step's timing, and of each episode the pad told, the true one and the frames between."""

    timing: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    pads: list[tuple[str, str, int]] = field(default_factory=list[tuple[str, str, int]])
    interrupted: list[str] = field(default_factory=list[str])


def play(policy: str, profile: str, steps: int, seed: int, log: Path) -> Played:
    """Play whole episodes, the first from a seed, until there are enough steps."""
    env = SkygardenEnv(backend="window", profile=profile)
    actor = Actor(named_policy(policy), 1, ActorConfig(), seed=0)
    played = Played()
    with closing(env), one_thread():
        while len(played.timing) < steps:
            frame, info = env.reset(seed=seed + len(played.pads) + len(played.interrupted))
            actor.reset(np.ones(1, np.bool_))
            over = False
            while not over:
                before = info["timing"]["captured"]
                frame, _, terminated, truncated, info = env.step(actor.act(frame[None]).actions[0])
                played.timing.append({**info["timing"], "interval": info["timing"]["captured"] - before})
                over = terminated or truncated
            if info["interrupted"] is None:
                truth, when = last_pad(log)
                late = math.floor((info["timing"]["captured"] - when) / PERIOD)  # 0: in the first frame that shows it
                played.pads.append((str(info["jumppad"]), truth, late))
            else:
                played.interrupted.append(info["interrupted"])
    return played


def last_pad(log: Path) -> tuple[str, float]:
    """The pad that the game's present life has reached, and when."""
    pad, when = "None", 0.0
    for line in log.read_text(encoding="utf-8").splitlines():
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "began":
            pad, when = "None", 0.0
        elif event["event"] == "jumppad":
            pad, when = event["pad"], event["time"]
    return pad, when


def show_pads(pads: list[tuple[str, str, int]]) -> None:
    """The confusion matrix, and how late pads were told."""
    names = [*JUMPPADS, "None"]
    print("\ntrue pad   told: " + "".join(f"{name:>8}" for name in names))
    for truth in names:
        row = [sum((told, truth) == (one, other) for one, other, _ in pads) for told in names]
        print(f"{truth:>16}  " + "".join(f"{count:8}" for count in row))
    late = [delay for told, truth, delay in pads if told == truth != "None"]
    if late:
        counts = ", ".join(f"{steps}: {late.count(steps)}" for steps in sorted(set(late)))
        print(f"launches by the steps after which they were told: {counts}   limit 2")


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
    parser.add_argument("--seed", type=int, default=0, help="of the first episode")
    options = parser.parse_args()
    with ExitStack() as stack:
        if "DISPLAY" not in os.environ:
            stack.enter_context(display())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        log, profile = folder / "log", folder / "profile.toml"
        launch = ["{python}", "-m", "skygarden", "game", "--log", str(log)]
        profile.write_text(f"extends = {json.dumps(options.profile)}\n[window]\nlaunch = {json.dumps(launch)}\n")
        played = play(options.policy, str(profile), options.steps, options.seed, log)
        grabs = capturing(300)
    columns = {key: np.array([float(step[key]) for step in played.timing]) for key in played.timing[0]}
    off = np.percentile(np.abs(columns["interval"] - 0.1), 99) * 1e3
    thinking = (0.1 - columns["slack"]) * 1e3
    steps, episodes = len(played.timing), len(played.pads)
    lost = len(played.interrupted)
    print(f"{options.policy}, {options.profile}: {steps} steps, {episodes} episodes, {lost} interrupted")
    print("".join(f"interrupted: {reason}\n" for reason in played.interrupted), end="")
    reached = sum(truth != "None" for _, truth, _ in played.pads)
    low, high = wilson(reached, max(1, episodes))
    print(f"episodes that reach a pad         {reached / max(1, episodes):7.1%}   ({low:.1%} to {high:.1%})")
    print(f"deadlines missed                  {columns['missed'].mean():7.2%}   limit 1%")
    print(f"interval, p99 off 100 ms          {off:7.2f}   limit 5 ms")
    print(f"capture to frame at 640x480, p50  {np.percentile(grabs, 50):7.2f}   limit 4 ms")
    print(f"frame to next wait, p50 and p99   {np.percentile(thinking, 50):7.2f} {np.percentile(thinking, 99):7.2f} ms")
    print(f"age of a frame handed out, p50    {np.percentile(columns['age'], 50) * 1e3:7.2f} ms")
    print(f"frames equal to the one before    {columns['duplicate'].mean():7.2%}")
    show_pads(played.pads)


if __name__ == "__main__":
    main()
