"""Episodes in a file: everything about each but its frames, which in the stand-in follow from its seed and actions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agents.checkpoint import read, write
from envs.backend import JUMPPADS, Start
from envs.episode import Ending, Episode
from envs.errors import CheckpointError, DataError

_ENDINGS = tuple(Ending)
_NUMBERS = ("seed", "spawn", "skin", "ending", "jumppad")  # one an episode


def write_episodes(path: Path, episodes: Sequence[Episode], about: Mapping[str, Any]) -> None:
    """Write episodes in place of what is there.

    Args: about: anything JSON can hold: who played them, and how.
    Raises: DataError: there are none, one was interrupted or came without its embeddings, or their features differ in
      width. CheckpointError: the file cannot be written.
    """
    if any(episode.ending == Ending.INTERRUPTED for episode in episodes):
        raise DataError("nothing follows from an interrupted episode; leave it out")
    if any(episode.embeddings.shape != episode.features.shape for episode in episodes):
        raise DataError("an episode that was sent without its embeddings is not whole; leave it out")
    widths = {episode.features.shape[1] for episode in episodes}
    if len(widths) != 1:
        raise DataError(f"episodes of one agent have features of one width, got {sorted(widths) or 'no episode'}")
    columns = {
        "seed": np.array([e.seed for e in episodes], np.int64),
        "spawn": np.array([-1 if e.start.spawn is None else e.start.spawn for e in episodes], np.int64),
        "skin": np.array([e.start.skin for e in episodes], np.int64),
        "ending": np.array([_ENDINGS.index(e.ending) for e in episodes], np.int64),
        "jumppad": np.array([JUMPPADS.index(e.jumppad) if e.jumppad else -1 for e in episodes], np.int64),
        "steps": np.array([len(e) for e in episodes], np.int64),
        "frames": np.array([len(e.features) for e in episodes], np.int64),
        "places": np.array([len(e.positions) for e in episodes], np.int64),
        "actions": np.concatenate([e.actions for e in episodes]),
        "log_probs": np.concatenate([e.log_probs for e in episodes]),
        "embeddings": np.concatenate([e.embeddings for e in episodes]),
        "features": np.concatenate([e.features for e in episodes]),
        "positions": np.concatenate([e.positions for e in episodes]),
    }
    tensors = {name: torch.as_tensor(column) for name, column in columns.items()}
    write(path, "episodes", tensors, {"characters": [e.start.character for e in episodes], "about": dict(about)})


def read_episodes(path: Path) -> tuple[list[Episode], dict[str, Any]]:
    """The episodes in a file, and what was said about them.

    Raises: CheckpointError: there is no such file, or it is damaged, incomplete or of another kind or version.
    """
    tensors, header = read(path, "episodes")
    try:
        columns = {name: tensor.numpy() for name, tensor in tensors.items()}
        return _episodes(columns, header["characters"]), header["about"]
    except (KeyError, IndexError, ValueError) as error:
        raise CheckpointError(f"{path} does not hold whole episodes ({error}); collect them anew") from error


def _episodes(columns: Mapping[str, NDArray[Any]], characters: Sequence[str]) -> list[Episode]:
    steps, frames = columns["steps"], columns["frames"]
    cuts = {
        "actions": np.cumsum(steps)[:-1],
        "log_probs": np.cumsum(steps)[:-1],
        "embeddings": np.cumsum(frames)[:-1],
        "features": np.cumsum(frames)[:-1],
        "positions": np.cumsum(columns.get("places", steps + 1))[:-1],  # as it was when all games told
    }
    parts = {name: np.split(columns[name], where) for name, where in cuts.items()}
    numbers: dict[str, list[int]] = {name: columns[name].tolist() for name in _NUMBERS}
    return [
        Episode(
            seed=numbers["seed"][k],
            start=Start(spawn if (spawn := numbers["spawn"][k]) >= 0 else None, characters[k], numbers["skin"][k]),
            actions=parts["actions"][k],
            log_probs=parts["log_probs"][k],
            embeddings=parts["embeddings"][k],
            features=parts["features"][k],
            positions=parts["positions"][k],
            ending=_ENDINGS[numbers["ending"][k]],
            jumppad=JUMPPADS[numbers["jumppad"][k]] if numbers["jumppad"][k] >= 0 else None,
        )
        for k in range(len(steps))
    ]
