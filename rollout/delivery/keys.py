"""The keys of what was used, in little memory: a long run has millions, and nearly all of them follow each other."""

import json
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from envs.errors import CheckpointError

_LARGEST: Final = 2**64  # of a number on the wire


@dataclass(frozen=True, slots=True)
class Key:
    """What no other report has: the same key again is the same report again."""

    worker: str
    incarnation: int
    sequence: int


class KeySet:
    """Keys, as ranges of sequence numbers for each incarnation of a worker."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._limits: dict[tuple[str, int], list[int]] = {}  # first, behind the last, first, ... in ascending order
        for key in keys:
            self.add(key)

    def add(self, key: Key) -> None:
        """Put a key in; one that is there stays there."""
        if key in self:
            return
        limits = self._limits.setdefault((key.worker, key.incarnation), [])
        here = bisect_right(limits, key.sequence)
        follows = here > 0 and limits[here - 1] == key.sequence
        precedes = here < len(limits) and limits[here] == key.sequence + 1
        limits[here - follows : here + precedes] = [key.sequence] * (not follows) + [key.sequence + 1] * (not precedes)

    def __contains__(self, key: Key) -> bool:
        return bisect_right(self._limits.get((key.worker, key.incarnation), ()), key.sequence) % 2 == 1

    def __len__(self) -> int:
        return sum(sum(limits[1::2]) - sum(limits[::2]) for limits in self._limits.values())

    def tensor(self) -> Tensor:
        """All of it as bytes, (N,) uint8, for a checkpoint."""
        listed = [[worker, incarnation, limits] for (worker, incarnation), limits in sorted(self._limits.items())]
        return torch.as_tensor(np.frombuffer(json.dumps(listed).encode(), np.uint8).copy())

    @classmethod
    def of_tensor(cls, tensor: Tensor) -> "KeySet":
        """What `tensor` made.

        Raises: CheckpointError: it made no such thing.
        """
        keys = cls()
        try:
            for worker, incarnation, limits in json.loads(bytes(tensor.numpy().tobytes())):
                if not isinstance(worker, str) or (worker, incarnation) in keys._limits:
                    raise ValueError(f"{worker!r:.100} is no worker, or is there twice")
                if not _ascend([incarnation, _LARGEST]) or len(limits) % 2 or not _ascend([*limits, _LARGEST + 1]):
                    raise ValueError(f"{limits!r:.100} of incarnation {incarnation!r:.100} are no ranges")
                keys._limits[worker, incarnation] = [*limits]
        except (ValueError, TypeError, RecursionError) as error:
            raise CheckpointError(f"the checkpoint's keys of used episodes cannot be read: {error}") from error
        return keys


def _ascend(numbers: list[Any]) -> bool:
    """Whether these are whole numbers from 0, each larger than the one before."""
    return all(type(number) is int for number in numbers) and all(a < b for a, b in pairwise([-1, *numbers]))
