"""Statistics of a dataset's features, as the layout keeps them: of each episode, and of all together.

Quantiles of all together are means of the episodes' weighted by their lengths, as LeRobot itself approximates them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Stats = dict[str, NDArray[Any]]

_QUANTILES: Final = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}


def stats_of(values: NDArray[Any]) -> Stats:
    """Statistics over the first axis of (T, ...) numbers; scalars count as vectors of one."""
    numbers = np.asarray(values, np.float64).reshape(len(values), -1)
    summary = {name: np.quantile(numbers, share, axis=0) for name, share in _QUANTILES.items()}
    ends = {"min": numbers.min(0), "max": numbers.max(0), "mean": numbers.mean(0), "std": numbers.std(0)}
    return ends | {"count": np.array([len(numbers)])} | summary


def stats_of_pictures(pictures: NDArray[np.uint8]) -> Stats:
    """Statistics of (T, H, W, 3) pictures a colour, (3, 1, 1) each, between 0 and 1; counted in pictures."""
    stats = stats_of(pictures.reshape(-1, 3))
    shaped = {name: (value / 255).reshape(3, 1, 1) for name, value in stats.items() if name != "count"}
    return shaped | {"count": np.array([len(pictures)])}


def together(parts: Sequence[Mapping[str, NDArray[Any]]]) -> Stats:
    """The statistics of episodes taken together. Args: parts: of one feature, at least one."""
    counts = np.array([part["count"][0] for part in parts], np.float64)

    def mean(values: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.average(np.stack(values), axis=0, weights=counts)

    total = mean([part["mean"] for part in parts])
    spread = mean([part["std"] ** 2 + (part["mean"] - total) ** 2 for part in parts])
    summary = {name: mean([part[name] for part in parts]) for name in _QUANTILES}
    return {
        "min": np.min([part["min"] for part in parts], axis=0),
        "max": np.max([part["max"] for part in parts], axis=0),
        "mean": total,
        "std": np.sqrt(spread),
        "count": np.array([int(counts.sum())]),
        **summary,
    }
