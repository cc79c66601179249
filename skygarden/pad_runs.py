"""Runs of the stand-in's humans to the jump pads, drawn as the game's window shows them.

What is recorded of a person at a real game, made here without one: the jump-pad detector of the stand-in's window is
learnt from such runs (`python -m skygarden.pad_runs` writes the file that ships) and measured on others
(bench/jumppad.py). A window is captured at any moment of a step, so each run is drawn some ticks before its steps end.
"""

import argparse
import math
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from envs.backend import JUMPPADS, SPAWNS
from envs.gamepad import BUTTONS, CENTRE
from envs.standin.characters import NAMES, SKINS
from envs.standin.island import WAYPOINTS
from envs.standin.physics import BODY, SUBSTEPS
from envs.standin.players import Player, draw_habits, eyes
from envs.standin.replay import Recorder, stage_of
from envs.standin.simulation import Easel, advance_ticks
from envs.window.jumppad import EVIDENCE_SIDE, shrink
from envs.window.jumppad_learning import PadRun, learn

SIDE: Final = 480  # pixels, of the square in the middle of the game's window that is captured
STEPS: Final = 100  # an episode has no more
AFTERMATH: Final = 6  # steps that a run goes on after a launch
RUNS: Final = 20  # to each pad and without a launch, to learn from
SHIPPED: Final = Path(__file__).parents[1] / "envs" / "window" / "profiles" / "standin" / "jumppads.npz"
SEED: Final = 1  # of the runs that the shipped detector has learnt from


@dataclass(frozen=True, slots=True)
class PlayedRun:
    """A run as frames show it: who played, and the states (T,) BODY in which the frames were taken."""

    states: NDArray[np.void]
    character: int
    skin: int
    spawn: int
    kind: str  # of player
    lag: int  # ticks, that each frame was taken before the end of its step

    @property
    def reached(self) -> int | None:
        """The first frame after a launch."""
        flying = np.flatnonzero(self.states["jumppad"] >= 0)
        return int(flying[0]) if flying.size else None

    @property
    def pad(self) -> str | None:
        """Which pad it was from."""
        return None if self.reached is None else JUMPPADS[int(self.states["jumppad"][self.reached])]


def play_run(seed: int, index: int, target: str | None = None, *, misses: bool = False) -> PlayedRun:
    """The run number `index` of a seed, by a player of the population: to a pad, or as he likes.

    Not everyone arrives: see `pad` of what comes back. Args: misses: near the pad he goes aside, and often falls.
    """
    rng = np.random.default_rng([seed, index])
    habits = draw_habits(rng)
    character, skin, spawn = int(rng.integers(len(NAMES))), int(rng.integers(SKINS)), int(rng.integers(SPAWNS))
    lag, side, nearness = int(rng.integers(SUBSTEPS)), 5 * int(rng.choice((-1, 1))), float(rng.uniform(3.0, 9.0))
    recorder = Recorder(0, character, skin, habits.kind, seed)
    recorder.begin(spawn)
    body = recorder.body[0]
    player = Player(habits, rng)
    player.begin((float(body["x"]), float(body["y"])), target)
    states: list[np.void] = []
    left = STEPS
    while left:
        action = player.act(*eyes(body))
        if misses and target and math.dist((body["x"], body["y"]), WAYPOINTS[target]) < nearness:
            action[len(BUTTONS)], action[len(BUTTONS) + 1] = CENTRE + side, CENTRE + 3
            action[BUTTONS.index("A")] = rng.random() < 0.2
        states.append(_state_within(recorder, action, SUBSTEPS - lag))
        left = AFTERMATH if recorder.step(action) else left - 1
    return PlayedRun(np.array(states, BODY), character, skin, spawn, habits.kind, lag)


def _state_within(recorder: Recorder, action: NDArray[np.uint8], ticks: int) -> np.void:
    """The body after some ticks of a step that is yet to come."""
    body = recorder.body.copy()
    bits = sum(1 << k for k in range(len(BUTTONS)) if action[k])
    sticks = [(int(value) - CENTRE) / 5.0 for value in action[len(BUTTONS) :]]
    advance_ticks(recorder.stage, body, bits, (sticks[0], sticks[1]), (sticks[2], sticks[3]), ticks)
    return body[0]


def draw_run(run: PlayedRun, side: int = SIDE) -> Iterator[NDArray[np.uint8]]:
    """The run's frames, (side, side, 3) uint8; each is overwritten by the next."""
    easel = _easel(side)
    for k in range(len(run.states)):
        yield easel.draw(run.states[k : k + 1], run.character, run.skin)


@cache
def _easel(side: int) -> Easel:
    return Easel(stage_of(0), side, side)


def to_pad_run(run: PlayedRun) -> PadRun:
    """A run as a recording of it, small already."""
    frames = np.array([shrink(pixels, EVIDENCE_SIDE) for pixels in draw_run(run)])
    return PadRun(frames, run.pad, run.reached)


def collect_runs(seed: int, count: int) -> list[PadRun]:
    """`count` runs to each pad, and as many without a launch, half of which miss a pad narrowly. On all processors."""
    wanted: Counter[str] = Counter(dict.fromkeys(JUMPPADS, count))
    chosen: list[tuple[int, int, str | None, bool]] = []
    free, missed = count - count // 2, count // 2  # still wanted, without a launch
    index = 0
    while +wanted or free or missed:
        target, misses = JUMPPADS[index % 3], index % 4 == 3
        pad = play_run(seed, index, target, misses=misses).pad
        if pad is None and misses and missed:
            missed -= 1
        elif pad is None and not misses and free:
            free -= 1
        elif pad is not None and not misses and wanted[pad] > 0:
            wanted[pad] -= 1
        else:
            index += 1
            continue
        chosen.append((seed, index, target, misses))
        index += 1
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        return list(pool.map(_record, chosen, chunksize=4))


def _record(chosen: tuple[int, int, str | None, bool]) -> PadRun:
    seed, index, target, misses = chosen
    return to_pad_run(play_run(seed, index, target, misses=misses))


def main() -> None:
    """Learn the detector of the stand-in's window."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=SHIPPED, help="the file to write (default: %(default)s)")
    parser.add_argument(
        "--runs", type=int, default=RUNS, help="to each pad and without a launch (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=SEED, help="of the runs and of learning (default: %(default)s)")
    given = parser.parse_args()
    detector = learn(collect_runs(given.seed, given.runs), np.random.default_rng(given.seed))
    detector.about["made by"] = f"python -m skygarden.pad_runs --runs {given.runs} --seed {given.seed}"
    detector.save(given.out)
    print(f"{given.out}: {given.out.stat().st_size / 1000:.0f} kB, learnt from {detector.about['runs']}")


if __name__ == "__main__":
    main()
