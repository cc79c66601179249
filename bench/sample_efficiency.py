"""How many episodes online runs took until 95% of the last hundred reached the wanted pad, and their success curves.

What a user of a real game pays for is episodes, at ten seconds each. Usage, with the folders of runs of
`skygarden online` or `skygarden align`, several seeds of one setting under one name:

    python bench/sample_efficiency.py --out efficiency.png "ours=runs/a/online,runs/b/online" "paper's loss=runs/c"
"""

import sys

sys.path.append(sys.path.pop(0))  # rollout.py beside this is not the package `rollout`

import argparse
from pathlib import Path
from typing import Any, cast

import numpy as np
from matplotlib.figure import Figure

from envs.errors import DataError
from skygarden.online import read_metrics

WINDOW = 100  # episodes
WANTED = 0.95


def curve(folder: Path) -> tuple[list[int], list[float]]:
    """Episodes played, and the success of the last hundred (or what batches make of it), from the hundredth on."""
    metrics = read_metrics(folder)
    if not metrics or metrics[0]["success"] is None:
        raise DataError(f"{folder} holds no metrics of an online run with a wanted pad")
    counts = np.cumsum([0, *(line["episodes"] for line in metrics)])
    hits = np.cumsum([0.0, *(line["success"] * line["episodes"] for line in metrics)])
    episodes: list[int] = []
    shares: list[float] = []
    for k in range(1, len(counts)):
        before = int(np.searchsorted(counts, counts[k] - WINDOW, side="right")) - 1
        if before >= 0:
            episodes.append(int(counts[k]))
            shares.append(float((hits[k] - hits[before]) / (counts[k] - counts[before])))
    return episodes, shares


def main() -> None:
    """Print the table and save the curves."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", help="NAME=FOLDER[,FOLDER...]")
    parser.add_argument("--out", type=Path, default=Path("efficiency.png"))
    args = parser.parse_args()
    figure: Any = Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
    axes: Any = figure.subplots()
    for colour, run in enumerate(cast("list[str]", args.runs)):
        name, _, folders = run.partition("=")
        reached: list[str] = []
        for number, folder in enumerate(folders.split(",")):
            episodes, shares = curve(Path(folder))
            there = [n for n, share in zip(episodes, shares, strict=True) if share >= WANTED]
            reached.append(str(there[0]) if there else f"not in {episodes[-1]}")
            axes.plot(episodes, shares, color=f"C{colour}", alpha=0.8, label=name if number == 0 else None)
        print(f"{name}: {', '.join(reached)} episodes until {WANTED:.0%} of the last {WINDOW}")
    axes.axhline(WANTED, color="black", linewidth=0.6, linestyle=":")
    axes.set(xlabel="episodes online", ylabel=f"success of the last {WINDOW}", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(args.out)


if __name__ == "__main__":
    main()
