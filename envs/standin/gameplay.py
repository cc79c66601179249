"""Records the stand-in's humans at play: what the base model is trained on.

A match is five minutes of one player: life after life from a spawn across the launch island, and, for those who reach
a pad, some time on the main island before the next.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np

from envs.backend import SPAWNS
from envs.errors import OptionError
from envs.standin.characters import NAMES, SKINS
from envs.standin.players import Player, draw_habits, eyes
from envs.standin.replay import Recorder, Replay

MATCH_STEPS: Final = 3000
STEPS_AN_HOUR: Final = 36_000


def record_match(seed: int, index: int, character: str | None = None, dressing: int = 0) -> Replay:
    """The match number `index` of a gameplay seed, of a random character or a given one."""
    rng = np.random.default_rng([seed, index])
    habits = draw_habits(rng)
    player = Player(habits, rng)
    drawn, skin = int(rng.integers(len(NAMES))), int(rng.integers(SKINS))
    played = drawn if character is None else NAMES.index(character)
    recorder = Recorder(dressing, played, skin, habits.kind, seed)
    life_ends = 0
    for step in range(MATCH_STEPS):
        body = recorder.body[0]
        if step == life_ends:
            recorder.begin(int(rng.integers(SPAWNS)))
            player.begin((float(body["x"]), float(body["y"])))
            life_ends = step + int(rng.integers(130, 260))
        if recorder.step(player.act(*eyes(body))):
            life_ends = step + int(rng.integers(40, 140))
    return recorder.replay()


def match_path(folder: Path, index: int) -> Path:
    """Where a match lies in a folder of gameplay."""
    return folder / f"match-{index:06d}.npz"


def record_gameplay(
    folder: Path,
    hours: float,
    seed: int,
    *,
    character: str | None = None,
    processes: int | None = None,
    dressing: int = 0,
) -> Iterator[tuple[int, int]]:
    """Record matches on all processors until the folder holds so many hours; those already there are kept.

    Yields: how many matches are done, and how many there will be.
    Args: character: the one that all play; default: a random one each.
    Raises: OptionError: the hours are not positive, or there is no such character.
    """
    if not hours > 0:
        raise OptionError(f"hours must be positive, got {hours}")
    if character not in (None, *NAMES):
        raise OptionError(f"unknown character {character!r}; there are {', '.join(NAMES)}")
    folder.mkdir(parents=True, exist_ok=True)
    total = max(1, round(hours * STEPS_AN_HOUR / MATCH_STEPS))
    missing = [k for k in range(total) if not match_path(folder, k).exists()]
    done = total - len(missing)
    yield done, total
    chunks = [missing[k : k + 8] for k in range(0, len(missing), 8)]
    with ProcessPoolExecutor(processes or os.cpu_count(), mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(_record_matches, folder, seed, chunk, character, dressing) for chunk in chunks]
        for job in as_completed(jobs):
            done += job.result()
            yield done, total


def _record_matches(folder: Path, seed: int, indices: list[int], character: str | None, dressing: int) -> int:
    for index in indices:
        record_match(seed, index, character, dressing).save(match_path(folder, index))
    return len(indices)


def list_replays(folder: Path) -> list[Path]:
    """The replays in a folder, in order.

    Raises: OptionError: there are none.
    """
    paths = sorted(folder.glob("match-*.npz"))
    if not paths:
        raise OptionError(f"no replays in {folder}; record some with: skygarden gameplay --hours 1 --out {folder}")
    return paths
