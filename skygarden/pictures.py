"""Pictures for people: contact sheets, and maps of where players went."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from numpy.typing import NDArray

from envs.backend import JUMPPADS
from envs.standin.island import PADS, SPAWNS
from envs.standin.scene import build_world

matplotlib.use("Agg")

COLOURS: Final = {"left": "#d1495b", "middle": "#edae49", "right": "#30638e", None: "#8d99ae"}
"""Of the pads, and of those who reached none."""

_GROUND: Final = {"grass": "#a7c796", "planks": "#c9a97c", "brick": "#8a7d72", "roof": "#a05a48"}

_FARTHEST_STEP: Final = 3.0  # metres in a tenth of a second; who is farther was put there

Route = tuple[str | None, NDArray[np.floating[Any]]]  # the pad reached, and positions (T, 2 or more)


def contact_sheet(path: Path, pictures: Sequence[tuple[str, NDArray[np.uint8]]], columns: int) -> None:
    """Save titled pictures of one size, (height, width, 3) uint8, in rows."""
    rows = -(-len(pictures) // columns)
    figure: Any = Figure(figsize=(1.9 * columns, 2.1 * rows), dpi=110, layout="constrained")
    axes: Any = np.array(figure.subplots(rows, columns)).ravel()
    for place in axes:
        place.axis("off")
    for place, (title, picture) in zip(axes, pictures, strict=False):
        place.imshow(picture, interpolation="nearest")
        place.set_title(title, fontsize=9)
    figure.savefig(path)


def route_map(path: Path, routes: Sequence[Route], title: str) -> None:
    """Save the launch island from above with routes over it, coloured by the pad they reached."""
    figure, axes = _island(title)
    for pad, positions in routes:
        x, y = _broken_at_falls(positions)
        axes.plot(x, y, color=COLOURS[pad], alpha=0.55, linewidth=0.9)
    _mark_places(axes)
    for pad in (*JUMPPADS, None):
        count = sum(reached == pad for reached, _ in routes)
        axes.plot([], [], color=COLOURS[pad], label=f"{pad or 'no pad'}: {count}")
    axes.legend(loc="lower right")
    figure.savefig(path)


def heat_map(path: Path, routes: Sequence[Route], title: str) -> None:
    """Save the launch island from above with the time that was spent on each square metre."""
    figure, axes = _island(title)
    places = np.concatenate([positions[:, :2] for _, positions in routes])
    steps, x, y = np.histogram2d(places[:, 0], places[:, 1], (np.arange(-31, 32), np.arange(-30, 26)))
    seconds = np.ma.masked_equal(steps.T / len(routes) / 10, 0)
    mesh = axes.pcolormesh(x, y, seconds, cmap="inferno_r", norm="log", alpha=0.9)
    figure.colorbar(mesh, label="seconds an episode", shrink=0.8)
    _mark_places(axes)
    figure.savefig(path)


def bar_chart(path: Path, results: Mapping[str, Mapping[str, Any]]) -> None:
    """Save the shares of episodes that reach each pad, with their intervals, for one policy or several beside it.

    Args: results: what `skygarden.evaluate.summarise` returns, by title.
    """
    figure: Any = Figure(figsize=(2.6 + 2.6 * len(results), 4), dpi=110, layout="constrained")
    axes: Any = figure.subplots()
    for k, result in enumerate(results.values()):
        for j, pad in enumerate((*JUMPPADS, None)):
            share = result["shares"][pad or "none"]
            error = [[share["share"] - share["low"]], [share["high"] - share["share"]]]
            place, label = k + 0.2 * (j - 1.5), (pad or "none") if k == 0 else None
            axes.bar(place, share["share"], 0.18, yerr=error, capsize=3, color=COLOURS[pad], label=label)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), title="pad")
    axes.set_xticks(range(len(results)), list(results))
    axes.set(ylim=(0, 1), ylabel="share of episodes")
    figure.savefig(path)


def curves(path: Path, series: Mapping[str, Sequence[tuple[int, float]]], title: str) -> None:
    """Save curves over the updates of a run, (update, value) pairs by name; long ones are drawn as running means."""
    figure: Any = Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
    axes: Any = figure.subplots()
    for name, points in series.items():
        updates, values = np.array(points, np.float64).T
        span = max(1, len(values) // 100)
        mean = np.convolve(values, np.full(span, 1 / span), "valid")
        axes.plot(updates[span - 1 :], mean, label=name if span == 1 else f"{name}, mean of {span} updates")
    axes.set(title=title, xlabel="update", ylabel="nats a component")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)


def accuracy_chart(path: Path, accuracies: Mapping[str, Mapping[int, Sequence[float]]], title: str) -> None:
    """Save accuracy against the number of comparisons: means and ranges over seeds, by encoder."""
    figure: Any = Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
    axes: Any = figure.subplots()
    for name, by_size in accuracies.items():
        sizes, values = list(by_size), np.array(list(by_size.values()))
        axes.plot(sizes, values.mean(1), marker="o", label=f"{name} encoder")
        axes.fill_between(sizes, values.min(1), values.max(1), alpha=0.2)
    axes.set(title=title, xlabel="comparisons", ylabel="accuracy on unseen pairs", xscale="log", ylim=(0.5, 1.0))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)


def online_chart(path: Path, metrics: Sequence[Mapping[str, Any]], wanted: str) -> None:
    """Save how an online run went, over its episodes: score and success above, KL divergence and entropy below.

    Args: metrics: what `skygarden.online.read_metrics` returns.
    """
    figure: Any = Figure(figsize=(9, 6.5), dpi=110, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    episodes = np.cumsum([line["episodes"] for line in metrics])
    span = max(1, min(10, len(metrics) // 5))
    names = {
        "success": f"shows what is wanted: {wanted}",
        "score": "reward model's score",
        "kl": "KL divergence to the fine-tuned agent",
    }
    for axes, keys in ((above, ("success", "score")), (below, ("kl", "entropy"))):
        for key in keys:
            if metrics[0][key] is None:
                continue
            values = np.array([line[key] for line in metrics], np.float64)
            mean = np.convolve(values, np.full(span, 1 / span), "valid")
            axes.plot(episodes[span - 1 :], mean, label=names.get(key, key))
        axes.grid(alpha=0.3)
        axes.legend()
    above.set(ylim=(0, 1), title=f"Online, means of {span} updates")
    below.set(xlabel="episodes", ylabel="nats an action")
    figure.savefig(path)


def _island(title: str) -> tuple[Any, Any]:
    """A figure and its axes with the launch island from above."""
    figure: Any = Figure(figsize=(8, 8), dpi=110, layout="constrained")
    axes: Any = figure.subplots()
    for solid in sorted(build_world(0).island.solids, key=lambda s: s.height):
        if solid.outline[0][1] < 40:
            colour = _GROUND.get(solid.kind, "#c4bcb0")
            axes.add_patch(Polygon(solid.outline, facecolor=colour, edgecolor="#00000030", linewidth=0.6))
    axes.set(xlim=(-31, 31), ylim=(-30, 25), aspect="equal", title=title, xlabel="metres", ylabel="metres")
    return figure, axes


def _mark_places(axes: Any) -> None:
    """The pads and the spawns."""
    for name, pad in zip(JUMPPADS, PADS, strict=True):
        axes.plot(pad.x, pad.y, marker="^", markersize=14, color="#f4c20d", markeredgecolor="black")
        axes.annotate(name, (pad.x, pad.y), textcoords="offset points", xytext=(0, 12), ha="center")
    for spawn in SPAWNS:
        axes.plot(spawn.x, spawn.y, marker="o", markersize=8, color="white", markeredgecolor="black")


def _broken_at_falls(positions: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(2, T'): x and y, with a gap where somebody who fell is put back."""
    flat = positions[:, :2].astype(np.float64)
    jumps = np.flatnonzero(np.linalg.norm(np.diff(flat, axis=0), axis=1) > _FARTHEST_STEP) + 1
    return np.insert(flat, jumps, np.nan, axis=0).T
