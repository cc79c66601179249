import numpy as np
import pytest
from numpy.typing import NDArray

from agents.data import Joined


class Numbers:
    """Sequences whose actions tell which one they are of, and which step."""

    def __init__(self, first: int, lengths: list[int]) -> None:
        self.lengths: NDArray[np.int64] = np.array(lengths, np.int64)
        self._first = first

    def read(
        self, index: int, start: int, length: int, out: NDArray[np.uint8] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        assert 0 <= index < len(self.lengths)
        actions = np.zeros((length, 16), np.uint8)
        actions[:, 0] = self._first + index
        actions[:, 1] = start + np.arange(length)
        return np.zeros((length, 128, 128, 3), np.uint8), actions


@pytest.mark.parametrize("lengths", [[[5, 6], [7], [8, 9, 10]], [[5], [], [6]], [[5]]])
def test_sequences_of_several_sources_follow_each_other(lengths: list[list[int]]):
    firsts = np.cumsum([0, *map(len, lengths)])
    joined = Joined([Numbers(int(first), part) for first, part in zip(firsts, lengths, strict=False)])
    assert joined.lengths.tolist() == [length for part in lengths for length in part]
    for index in range(len(joined.lengths)):
        _, actions = joined.read(index, 2, 3)
        assert actions[:, :2].tolist() == [[index, 2], [index, 3], [index, 4]]
