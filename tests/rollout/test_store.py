"""Laws of episodes in a file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.checkpoint import write
from envs.backend import JUMPPADS, Start
from envs.episode import Ending, Episode
from envs.errors import CheckpointError, DataError
from envs.gamepad import SIZES
from envs.standin.characters import NAMES
from rollout.store import read_episodes, write_episodes


def make(rng: np.random.Generator, width: int = 3, padded: bool = False) -> Episode:
    """An episode of anything."""
    steps = int(rng.integers(1, 9))
    jumppad = (*JUMPPADS, None)[int(rng.integers(4))]
    located = bool(rng.integers(2))  # a real game tells neither where one begins nor where one is
    frames = 10 if padded else steps
    return Episode(
        seed=int(rng.integers(2**40)),
        start=Start(int(rng.integers(4)) if located else None, NAMES[int(rng.integers(13))], int(rng.integers(3))),
        actions=rng.integers(0, SIZES, (steps, 16), np.uint8),
        log_probs=rng.normal(size=steps).astype(np.float32),
        embeddings=rng.normal(size=(frames, width)).astype(np.float16),
        features=rng.normal(size=(frames, width)).astype(np.float16),
        positions=rng.normal(size=(steps + 1 if located else 0, 3)).astype(np.float32),
        ending=Ending.TERMINATED if jumppad else Ending.TRUNCATED,
        jumppad=jumppad,
    )


def content(episode: Episode) -> dict[str, Any]:
    """Its parts, as what can be compared."""
    parts = {name: getattr(episode, name) for name in Episode.__slots__}
    return {name: (p.dtype, p.tolist()) if isinstance(p, np.ndarray) else p for name, p in parts.items()}


@given(seed=st.integers(0, 2**32), count=st.integers(1, 5), width=st.integers(0, 3), padded=st.booleans())
def test_episodes_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, width: int, padded: bool
) -> None:
    rng = np.random.default_rng(seed)
    episodes = [make(rng, width, padded) for _ in range(count)]
    path = tmp_path_factory.mktemp("store") / "episodes.safetensors"
    write_episodes(path, episodes, {"policy": "some"})
    found, about = read_episodes(path)
    assert about == {"policy": "some"}
    assert [content(episode) for episode in found] == [content(episode) for episode in episodes]


def test_an_interrupted_episode_is_not_kept(tmp_path: Path) -> None:
    whole = make(np.random.default_rng(0))
    lost = replace(whole, ending=Ending.INTERRUPTED, jumppad=None, interrupted="the window is gone")
    with pytest.raises(DataError, match="nothing follows from an interrupted episode"):
        write_episodes(tmp_path / "some", [whole, lost], {})
    assert not (tmp_path / "some").exists()


def test_an_episode_that_was_sent_without_its_embeddings_is_not_kept(tmp_path: Path) -> None:
    whole = make(np.random.default_rng(0))
    with pytest.raises(DataError, match="without its embeddings is not whole"):
        write_episodes(tmp_path / "some", [whole, replace(whole, embeddings=whole.embeddings[:0])], {})
    assert not (tmp_path / "some").exists()


def test_what_is_no_set_of_episodes_is_not_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="no episode"):
        write_episodes(tmp_path / "none", [], {})
    with pytest.raises(DataError, match=r"of one width, got \[2, 3\]"):
        write_episodes(tmp_path / "mixed", [make(rng, 2), make(rng, 3)], {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("part", ["steps", "actions", "positions", "jumppad", "seed"])
def test_a_file_whose_parts_do_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    path = tmp_path / "episodes"

    def damaged(to: Path, kind: Any, tensors: Any, header: Any) -> None:
        wrong = tensors[part] + 7 if part in ("steps", "jumppad") else tensors[part][:-1]
        write(to, kind, {**tensors, part: wrong}, header)

    monkeypatch.setattr("rollout.store.write", damaged)
    write_episodes(path, [make(np.random.default_rng(k)) for k in range(3)], {})
    with pytest.raises(CheckpointError, match="does not hold whole episodes"):
        read_episodes(path)
