"""How well launches from a jump pad are told from pixels, and how many recorded runs that takes.

    python bench/jumppad.py [--runs 5 10 20 40] [--episodes 1000] [--seed 1] [--detector FILE]

For each number of runs a detector learns from so many to each pad and so many without a launch, and all are judged on
the same other episodes of the stand-in's people: three of four set out for a given pad, the fourth as they like; all
characters, skins and spawns; drawn at the size of the game's window, at any of six moments of a step. A detection
counts if it names the right pad and comes within two steps of the launch. The first detector is also judged on the same
frames as another capture might give them: up to 2 pixels cut from each side, up to 10% brighter or darker.
"""

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from envs.backend import JUMPPADS
from envs.window.jumppad import JumpPadDetector, Pixels
from envs.window.jumppad_learning import learn
from skygarden.pad_runs import collect_runs, draw_run, play_run

WITHIN = 2  # steps of the truth
EPISODES_SEED = 1_000_003  # of the episodes to judge by; calibration takes small seeds

Found = tuple[str | None, int]  # a pad, and in which frame it was reported


@dataclass(frozen=True)
class Judged:
    """What was so in an episode, and what each detector said."""

    pad: str | None
    reached: int
    kind: str
    index: int
    found: dict[str, Found]


def disturb(pixels: Pixels, rng: np.random.Generator) -> Callable[[Pixels], Pixels]:
    """How another capture sees this size of picture."""
    top, bottom, left, right = (int(n) for n in rng.integers(0, 3, 4))
    rows, columns = slice(top, pixels.shape[0] - bottom), slice(left, pixels.shape[1] - right)
    return partial(_disturbed, (rows, columns), float(rng.uniform(0.9, 1.1)))


def _disturbed(part: tuple[slice, slice], light: float, pixels: Pixels) -> Pixels:
    return np.clip(pixels[part].astype(np.float32) * light, 0, 255).astype(np.uint8)


def judge(paths: dict[str, Path], index: int) -> Judged:
    """Play and draw an episode, and ask the detectors. One whose name begins with "~" sees it disturbed."""
    run = play_run(EPISODES_SEED, index, (*JUMPPADS, None)[index % 4])
    detectors = {name: JumpPadDetector.load(path) for name, path in paths.items()}
    found: dict[str, Found] = dict.fromkeys(paths, (None, -1))
    other = None
    for frame, pixels in enumerate(draw_run(run)):
        other = other or disturb(pixels, np.random.default_rng(index))
        for name, detector in detectors.items():
            detection = detector.update(other(pixels) if name.startswith("~") else pixels)
            if detection is not None:
                found[name] = detection.pad, frame
    return Judged(run.pad, -1 if run.reached is None else run.reached, run.kind, index, found)


def report(name: str, judged: list[Judged]) -> None:
    """Print what a detector was worth."""
    answers = (*JUMPPADS, None)
    table = Counter((j.pad, j.found[name][0]) for j in judged)
    delays = Counter(j.found[name][1] - j.reached for j in judged if j.pad and j.pad == j.found[name][0])
    right = Counter(
        j.pad for j in judged if j.pad and j.pad == j.found[name][0] and abs(j.found[name][1] - j.reached) <= WITHIN
    )
    print(f"\n{name}")
    print("  truth      " + "".join(f"{answer or 'none':>8}" for answer in answers) + "  found")
    for truth in answers:
        print(f"  {truth or 'none':<11}" + "".join(f"{table[truth, answer]:>8}" for answer in answers))
    for pad in JUMPPADS:
        said = sum(table[truth, pad] for truth in answers)
        was = sum(table[pad, answer] for answer in answers)
        print(f"  {pad:<7} precision {right[pad] / max(1, said):7.2%}  recall {right[pad] / max(1, was):7.2%}")
    print("  steps late " + ", ".join(f"{delay:+d}: {delays[delay]}" for delay in sorted(delays)))
    wrong = [
        f"{j.index} ({j.kind}, {j.pad} {j.reached} -> {j.found[name][0]} {j.found[name][1]})"
        for j in judged
        if j.found[name][0] != j.pad or (j.pad and abs(j.found[name][1] - j.reached) > WITHIN)
    ]
    print(f"  {len(wrong)} wrong of {len(judged)}" + "".join(f"\n    {line}" for line in wrong[:12]))


def measure_time(path: Path, frames: int = 400) -> tuple[float, float]:
    """Microseconds of `update` at the window's size: the median and the 99th percentile, on one core."""
    detector = JumpPadDetector.load(path)
    pictures = [pixels.copy() for pixels in draw_run(play_run(EPISODES_SEED, 0, None))][:40]
    times: list[float] = []
    for k in range(frames):
        if k % len(pictures) == 0:
            detector.reset()
        begin = time.perf_counter()
        detector.update(pictures[k % len(pictures)])
        times.append(1e6 * (time.perf_counter() - begin))
    return float(np.median(times)), float(np.quantile(times, 0.99))


def main() -> None:
    """Learn, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="*", default=[5, 10, 20, 40])
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--detector", type=Path, help="one to judge too, as it is")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths: dict[str, Path] = {} if given.detector is None else {str(given.detector): given.detector}
        for count in given.runs:
            begin = time.perf_counter()
            runs = collect_runs(given.seed, count)
            drawn = time.perf_counter()
            path = Path(folder) / f"{count}.npz"
            learn(runs, np.random.default_rng(given.seed)).save(path)
            paths[f"{count} runs"] = path
            seconds = drawn - begin, time.perf_counter() - drawn
            print(f"{count} runs: {seconds[0]:.0f} s to play and draw, {seconds[1]:.0f} s to learn", flush=True)
        paths |= {f"~ {name}, disturbed": path for name, path in list(paths.items())[:1]}
        with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
            judged = list(pool.map(partial(judge, paths), range(given.episodes), chunksize=10))
        for name in paths:
            report(name, judged)
        middle, slow = measure_time(next(iter(paths.values())))
        size = next(iter(paths.values())).stat().st_size
    about = {"microseconds a frame": round(middle), "99th percentile": round(slow), "file, kB": round(size / 1000)}
    print("\n" + json.dumps(about))


if __name__ == "__main__":
    main()
