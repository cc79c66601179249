"""What a policy does: which pads it reaches from where, as a table, figures, pictures and videos."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from envs.backend import JUMPPADS, SPAWNS
from envs.episode import Episode
from envs.errors import OptionError
from skygarden.aims import Aim, titles_a_pad
from skygarden.files import write_text
from skygarden.film import film
from skygarden.pictures import bar_chart, heat_map, route_map
from skygarden.playing import Rollouts, play
from skygarden.video import write_video

OUTCOMES: Final = (*JUMPPADS, None)


def evaluate(
    settings: Rollouts, out: Path, videos: int = 6, title: str | None = None, aim: Aim | None = None
) -> dict[str, Any]:
    """Let a policy play, show a table, and write to `out`: results.json, pictures, videos of the first episodes.

    Args: title: what pictures and table call the policy; default: its file's name. aim: counts the episodes that show
      it, where it can tell.
    Returns: what is in results.json.
    Raises: OptionError: there is no such policy, or fewer than no videos are wanted.
    """
    if videos < 0:
        raise OptionError(f"an evaluation makes 0 or more videos, got {videos}")
    reel = _Reel(out, videos)
    played = play(settings, filmed=None if settings.env.redrawn else reel.add)
    results = summarise(played, settings, aim)
    out.mkdir(parents=True, exist_ok=True)
    title = f"{title or Path(settings.policy).stem}, {len(played)} episodes"
    bar_chart(out / "pads.png", {title: results})
    if settings.env.redrawn:  # a real game tells nobody where the player is
        routes = [(episode.jumppad, episode.positions) for episode in played]
        route_map(out / "trajectories.png", routes, title)
        heat_map(out / "heat.png", routes, title)
        for episode in played[:videos]:
            reel.add(film(episode), episode.jumppad)
    reel.close()
    write_text(out / "results.json", json.dumps(results, indent=2))
    console = Console()
    console.print(results_table(results, title))
    console.print(f"results, pictures and videos are in {out}")
    return results


class _Reel:
    """The videos of the first episodes, in place of those that are there."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self._count = folder, count
        self._made: list[Path] = []

    def add(self, frames: Iterable[NDArray[np.uint8]], jumppad: str | None) -> None:
        if len(self._made) < self._count:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._made.append(self._folder / f"episode-{len(self._made):02d}-{name(jumppad)}.mp4")
            write_video(self._made[-1], frames, scale=4)

    def close(self) -> None:
        """Leave no other video behind."""
        for stale in set(self._folder.glob("episode-*.mp4")) - set(self._made):
            stale.unlink()


def summarise(episodes: Sequence[Episode], settings: Rollouts, aim: Aim | None = None) -> dict[str, Any]:
    """Counts by pad, in all and by spawn, 95% intervals, how long the successful ones took, and which show an aim."""
    reached = [len(episode) for episode in episodes if episode.jumppad]
    spawns = [[e for e in episodes if e.start.spawn == spawn] for spawn in range(SPAWNS)]
    wanted: dict[str, Any] = {}
    if aim is not None and aim.measured:
        shown = sum(map(aim.shown, episodes))
        wanted = {"wanted": {"aim": aim.title, "episodes": shown, **_share(shown, len(episodes))}}
    return {
        **_counts(episodes),
        **wanted,
        "success": _share(len(reached), len(episodes)),
        "shares": {name(pad): _share(_reaching(episodes, pad), len(episodes)) for pad in OUTCOMES},
        "by_spawn": [_counts(at_spawn) for at_spawn in spawns],
        "median_steps_to_a_pad": float(np.median(reached)) if reached else None,
        "settings": asdict(settings),
    }


def name(pad: str | None) -> str:
    """What a pad, or none, is called in results."""
    return pad or "none"


def wilson(hits: float, total: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson, 1927)."""
    z = 1.959964
    share, squared = hits / total, z * z / total
    middle = share + squared / 2
    half = z * float(np.sqrt(share * (1 - share) / total + squared / (4 * total)))
    low, high = (middle - half) / (1 + squared), (middle + half) / (1 + squared)
    return min(max(0.0, low), share), max(min(1.0, high), share)  # rounding would put the ends of [0, 1] outside


def _counts(episodes: Sequence[Episode]) -> dict[str, int]:
    return {"episodes": len(episodes)} | {name(pad): _reaching(episodes, pad) for pad in OUTCOMES}


def _reaching(episodes: Sequence[Episode], pad: str | None) -> int:
    return sum(episode.jumppad == pad for episode in episodes)


def _share(hits: int, total: int) -> dict[str, float]:
    low, high = wilson(hits, total)
    return {"share": hits / total, "low": low, "high": high}


def results_table(results: dict[str, Any], title: str) -> Table:
    """What `summarise` returns, as a person reads it."""
    table = Table(title=title, caption="shares with 95% intervals; by spawn, counts")
    for heading in ("", "share", "from", "to", *(f"spawn {k + 1}" for k in range(SPAWNS))):
        table.add_column(heading, justify="right")
    rows = [(name(pad), results["shares"][name(pad)]) for pad in OUTCOMES]
    if "wanted" in results and not titles_a_pad(results["wanted"]["aim"]):
        table.caption = f"{results['wanted']['aim']}: {results['wanted']['share']:.1%}; {table.caption}"
    for heading, share in [*rows, ("any pad", results["success"])]:
        at_spawns = [
            str(row["episodes"] - row["none"] if heading == "any pad" else row[heading]) for row in results["by_spawn"]
        ]
        table.add_row(heading, *(f"{share[part]:.1%}" for part in ("share", "low", "high")), *at_spawns)
    return table
