"""The report of an alignment: one HTML file, pictures and videos inside, that can be sent to somebody."""

import base64
import html
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from agents.reward import load_reward
from envs.backend import JUMPPADS
from skygarden.aims import titles_a_pad
from skygarden.files import write_text
from skygarden.online import read_metrics
from skygarden.pictures import bar_chart, online_chart

_PACKAGES: Final = ("skygarden", "torch", "numpy", "numba", "gymnasium", "grpcio", "protobuf")
_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; color: #222; }
img, video { max-width: 100%; } video { image-rendering: pixelated; width: 100%; }
table { border-collapse: collapse; } td, th { padding: 0.2rem 1.2rem 0.2rem 0; text-align: right; }
td:first-child, th:first-child { text-align: left; } tr:last-child td.wanted { font-weight: bold; }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { color: #555; } pre { white-space: pre-wrap; font-size: 13px; }
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage and how long it took."""

    name: str
    seconds: float


def write_report(
    path: Path,
    wanted: str,
    evaluations: Mapping[str, Path],
    reward: Path,
    online: Path,
    stages: Sequence[Stage],
    settings: Mapping[str, Any],
) -> None:
    """Write a report.

    Args: wanted: the aim's title. evaluations: the folders of the stages' evaluations, by title, in order; the last is
      of the aligned agent. reward: the folder of the reward model. online: of the online run. settings: of all.
    """
    results = {title: _read(folder / "results.json") for title, folder in evaluations.items()}
    located = {title: evaluations[title] for title, result in results.items() if _is_located(result)}
    metrics = read_metrics(online)
    artefact = load_reward(reward / "reward.safetensors")
    beside = path.parent / "pictures"
    beside.mkdir(parents=True, exist_ok=True)
    bar_chart(beside / "pads.png", results)
    online_chart(beside / "online.png", metrics, wanted)
    *_, last = results
    played = sum(line["episodes"] for line in metrics)
    parts = [
        f"<h1>Aligned: {html.escape(wanted)}</h1>",
        _outcome(results[last], played),
        "<h2>Which pad, stage by stage</h2>",
        _picture(beside / "pads.png", "Shares of episodes, with 95% intervals"),
        _table(results, wanted),
        "<h2>Reward model</h2>",
        f"<p>{artefact.about['comparisons']} comparisons of {artefact.about['trajectories']} episodes. It ranks "
        f"{artefact.accuracy:.1%} of pairs of episodes that it was not trained on as "
        f"{'they were answered' if artefact.about.get('held_out') else 'the rule does'}.</p>",
        _picture(reward / "curve.png", "Accuracy by comparisons") if (reward / "curve.png").exists() else "",
        "<h2>Online</h2>",
        _picture(beside / "online.png", "Success is true success, which nothing is learnt from"),
        *_maps("Where the time was spent", "heat.png", located),
        *_maps("Routes", "trajectories.png", located),
        "<h2>What it looks like</h2>",
        *(
            f"<h3>{html.escape(title)}</h3>{_row(_video(video) for video in sorted(folder.glob('episode-*.mp4')))}"
            for title, folder in evaluations.items()
        ),
        "<h2>Times</h2>",
        _times(stages),
        "<h2>Versions and settings</h2>",
        f"<p>Python {platform.python_version()}, {platform.system()} {platform.machine()}; "
        f"{', '.join(f'{name} {version(name)}' for name in _PACKAGES)}.</p>",
        f"<details><summary>All settings</summary><pre>{html.escape(json.dumps(settings, indent=2, default=str))}"
        "</pre></details>",
    ]
    text = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Skygarden: {html.escape(wanted)}</title>'
        f"<style>{_STYLE}</style>\n" + "\n".join(parts) + "\n</html>\n"
    )
    write_text(path, text)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _is_located(result: Mapping[str, Any]) -> bool:
    """Whether the game told where the agent was: the stand-in does."""
    return result["settings"].get("env", {}).get("backend", "standin") == "standin"


def _maps(heading: str, picture: str, evaluations: Mapping[str, Path]) -> list[str]:
    """Maps of agents beside each other."""
    maps = (_picture(folder / picture, title) for title, folder in evaluations.items())
    return [f"<h2>{heading}</h2>", _row(maps)] if evaluations else []


def _outcome(aligned: Mapping[str, Any], played: int) -> str:
    """What became of the aligned agent, in a sentence; what cannot be measured is not said."""
    wanted, any_pad = aligned.get("wanted"), aligned["success"]
    if wanted is None:
        return f"<p>The aligned agent reaches a pad in <b>{_interval(aligned, any_pad)}, {_after(played)}.</p>"
    shows = f"<p>The aligned agent shows what was wanted in <b>{_interval(aligned, wanted)}, {_after(played)}."
    if titles_a_pad(wanted["aim"]):
        return f"{shows}</p>"
    reached = aligned["episodes"] - aligned["none"]
    of_those = f", and of those that do {wanted['episodes'] / reached:.1%} show it" if reached else ""
    return f"{shows} {any_pad['share']:.1%} reach a pad{of_those}.</p>"


def _interval(aligned: Mapping[str, Any], share: Mapping[str, float]) -> str:
    between = f"95% interval {share['low']:.1%} to {share['high']:.1%}"
    return f"{share['share']:.1%}</b> of {aligned['episodes']} episodes ({between})"


def _after(played: int) -> str:
    return f"after {played} episodes online"


def _table(results: Mapping[str, Mapping[str, Any]], wanted: str) -> str:
    """Shares of episodes, an agent a row; with a rule, how many show it."""
    columns = [*JUMPPADS, "none"]
    shares = {title: {pad: result["shares"][pad]["share"] for pad in columns} for title, result in results.items()}
    if not titles_a_pad(wanted) and all("wanted" in result for result in results.values()):
        columns.append(wanted)
        for title, result in results.items():
            shares[title][wanted] = result["wanted"]["share"]
    heads = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    marked = wanted.removesuffix(" pad")
    rows = "".join(
        f"<tr><td>{html.escape(title)}</td>"
        + "".join(f"<td{' class=wanted' if c == marked else ''}>{shares[title][c]:.1%}</td>" for c in columns)
        + f"<td>{result['episodes']}</td></tr>"
        for title, result in results.items()
    )
    return f"<table><tr><th>agent</th>{heads}<th>episodes</th></tr>{rows}</table>"


def _times(stages: Sequence[Stage]) -> str:
    rows = "".join(f"<tr><td>{html.escape(stage.name)}</td><td>{_clock(stage.seconds)}</td></tr>" for stage in stages)
    return f"<table>{rows}<tr><td>together</td><td>{_clock(sum(stage.seconds for stage in stages))}</td></tr></table>"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"


def _picture(path: Path, caption: str) -> str:
    return (
        f'<figure><img src="data:image/png;base64,{_base64(path)}" alt="{html.escape(caption)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _video(path: Path) -> str:
    return f'<video src="data:video/mp4;base64,{_base64(path)}" autoplay loop muted playsinline controls></video>'


def _row(figures: Any) -> str:
    return f'<div class="row">{"".join(figures)}</div>'


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
