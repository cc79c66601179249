"""The jump pads' looks, learnt from a person's runs, and how well runs are told that nothing was learnt from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from envs.window.jumppad import JumpPadDetector, detect_in
from envs.window.jumppad_learning import LEAST_RUNS, LearningConfig, PadRun, learn

_EVERY: Final = 3  # of the runs of a kind one is left out, as far as enough are left
_NEAR: Final = 2  # frames from the truth


@dataclass(frozen=True, slots=True)
class Learnt:
    """A detector of all runs, and what was found with one of most of them on the others."""

    detector: JumpPadDetector
    held_out: int  # runs
    right: int  # of those: the pad, or that there was none
    near: int  # of those with a launch that was told rightly: within two frames

    def __str__(self) -> str:
        counts = Counter[str](self.detector.about["runs"])
        runs = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        if not self.held_out:
            return f"learnt from all runs ({runs}); how good it is was not measured: more than {LEAST_RUNS} each needed"
        return (
            f"learnt from all runs ({runs}); one that had not seen {self.held_out} of them told {self.right} of those "
            f"rightly, {self.near} launches within {_NEAR} frames"
        )


def learn_pads(runs: Sequence[PadRun], seed: int, learning: LearningConfig | None = None) -> Learnt:
    """Learn twice: without some runs, to see how good it is; and from all.

    Raises: DataError: too few runs to a pad, or without a launch.
    """
    kept, left = _split(runs)
    right = near = 0
    if left:
        trial = learn(kept, np.random.default_rng(seed), learning=learning)
        for run in left:
            found = detect_in(trial, run.frames)
            if (None if found is None else found.pad) == run.pad:
                right += 1
                near += found is not None and run.reached is not None and abs(found.frame - run.reached) <= _NEAR
    return Learnt(learn(runs, np.random.default_rng(seed), learning=learning), len(left), right, near)


def _split(runs: Sequence[PadRun]) -> tuple[list[PadRun], list[PadRun]]:
    """Runs to learn from, and others of the same kinds, spread over the recording."""
    kept: list[PadRun] = []
    left: list[PadRun] = []
    for kind in dict.fromkeys(run.pad for run in runs):
        those = [run for run in runs if run.pad == kind]
        spare = max(0, min(len(those) // _EVERY, len(those) - LEAST_RUNS))
        out = {(k + 1) * len(those) // spare - 1 for k in range(spare)} if spare else set[int]()
        kept += [run for k, run in enumerate(those) if k not in out]
        left += [run for k, run in enumerate(those) if k in out]
    return kept, left
