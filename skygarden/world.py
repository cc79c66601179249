"""The world to look at: scripted players at play, and a page that shows them."""

import html
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from envs.backend import JUMPPADS, SIDE, SPAWNS
from envs.errors import OptionError
from envs.standin.characters import NAMES
from envs.standin.players import EXPERT, Habits, Player, draw_habits, eyes
from envs.standin.simulation import Simulation
from skygarden.files import write_text
from skygarden.pictures import Route, contact_sheet, route_map
from skygarden.sheet import views
from skygarden.video import write_video

_GRID: Final = 4  # players across and down the video
_STEPS: Final = 110


def world(out: Path, players: int, seed: int) -> Path:
    """Play, and write a video, a contact sheet, a map of the routes and a page with all of them; returns the page.

    Raises: OptionError: too few players to fill the video.
    """
    if players < _GRID * _GRID:
        raise OptionError(f"the video shows {_GRID * _GRID} players, got --players {players}; let more play")
    out.mkdir(parents=True, exist_ok=True)
    console = Console()
    rng = np.random.default_rng(seed)
    habits = [draw_habits(rng) for _ in range(players)]
    humans, frames = _play(habits, rng, film=_GRID * _GRID)
    write_video(out / "players.mp4", track(_tiled(frames), "writing the video", total=len(frames)), scale=2)
    route_map(out / "routes.png", humans, f"{players} scripted players, 100 steps each")
    experts, _ = _play([EXPERT] * 12, rng, film=0, targets=[JUMPPADS[k // SPAWNS] for k in range(12)])
    route_map(out / "experts.png", experts, "An expert from every spawn to every pad")
    contact_sheet(out / "contact-sheet.png", views(), columns=6)
    reached = {pad: sum(r == pad for r, _ in humans) for pad in (*JUMPPADS, None)}
    page = out / "index.html"
    write_text(page, _page(players, reached, {h.kind for h in habits}))
    console.print(f"\n{players} players: " + ", ".join(f"{pad or 'no pad'} {n}" for pad, n in reached.items()))
    console.print(f"Open [bold]{page}[/bold] in a browser.")
    return page


def _play(
    habits: list[Habits], rng: np.random.Generator, film: int, targets: list[str] | None = None
) -> tuple[list[Route], list[NDArray[np.uint8]]]:
    """Let each play one life; returns the routes, up to step 100, and frames of the first `film` players."""
    count = len(habits)
    simulation = Simulation(count, 0, threads=2)
    players = [Player(h, rng) for h in habits]
    for k, player in enumerate(players):
        character = 0 if targets else int(rng.integers(len(NAMES)))
        simulation.put(k, k % SPAWNS, character, int(rng.integers(3)), False)
        body = simulation.bodies[k]
        player.begin((float(body["x"]), float(body["y"])), targets[k] if targets else None)
    frames = np.empty((count, SIDE, SIDE, 3), np.uint8)
    places = np.empty((_STEPS, count, 2))
    arrivals: dict[int, tuple[int, str]] = {}
    kept: list[NDArray[np.uint8]] = []
    moving = np.ones(count, np.bool_)
    for step in track(range(_STEPS), f"{count} players play"):
        bodies = simulation.bodies
        places[step, :, 0], places[step, :, 1] = bodies["x"], bodies["y"]
        actions = np.stack([p.act(*eyes(bodies[k])) for k, p in enumerate(players)])
        simulation.advance(actions, moving, frames)
        kept.append(frames[:film].copy())
        for k in np.flatnonzero(bodies["jumppad"] >= 0).tolist():
            arrivals.setdefault(k, (step + 1, JUMPPADS[int(bodies[k]["jumppad"])]))
    simulation.close()
    routes: list[Route] = []
    for k in range(count):
        end, pad = arrivals.get(k, (100, None))
        routes.append((pad if end <= 100 else None, places[: min(end, 100), k]))
    return routes, kept


def _tiled(frames: list[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Sixteen players' frames side by side."""
    for frame in frames:
        grid = frame.reshape(_GRID, _GRID, SIDE, SIDE, 3)
        yield grid.swapaxes(1, 2).reshape(_GRID * SIDE, _GRID * SIDE, 3)


def _page(players: int, reached: dict[str | None, int], kinds: set[str]) -> str:
    rows = "".join(
        f"<tr><td>{pad or 'none'}</td><td>{n}</td><td>{n / players:.0%}</td></tr>" for pad, n in reached.items()
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Skygarden: the stand-in</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 1060px; margin: 2rem auto; padding: 0 1rem; color: #222; }}
img, video {{ max-width: 100%; image-rendering: pixelated; }}
td, th {{ padding: 0.2rem 1rem 0.2rem 0; text-align: left; }}
.pair {{ display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }}
</style>
<h1>Skygarden: the stand-in at play</h1>
<p>{players} scripted players ({html.escape(", ".join(sorted(kinds)))}) set out from the four spawns.
Within 100 steps, ten seconds, they reached:</p>
<table><tr><th>pad</th><th>players</th><th>share</th></tr>{rows}</table>
<h2>What they saw</h2>
<video src="players.mp4" controls autoplay loop muted></video>
<h2>Where they went</h2>
<div class="pair">
<img src="routes.png" alt="Routes of the players"><img src="experts.png" alt="Routes of experts">
</div>
<h2>The world</h2>
<img src="contact-sheet.png" alt="Spawns, pads, characters and the main island">
</html>
"""
