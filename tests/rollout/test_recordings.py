"""Laws of recordings: what was written is read, window by window, or the file at fault is named."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from envs.errors import ActionError, DataError
from envs.gamepad import SIZES
from rollout.recordings import RecordedSequences, has_recording, list_recordings, write_recording

Play = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def play(steps: int, seed: int = 0) -> Play:
    """Frames and actions of which no two are alike."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (steps, 128, 128, 3), np.uint8), rng.integers(0, SIZES, (steps, 16), np.uint8)


def equal(a: Play, b: Play) -> bool:
    """Bit for bit."""
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@settings(max_examples=30)
@given(data=st.data(), steps=st.integers(1, 6), seed=st.integers(0, 99))
def test_any_window_of_a_recording_is_what_was_written(data: st.DataObject, steps: int, seed: int) -> None:
    frames, actions = play(steps, seed)
    start = data.draw(st.integers(0, steps - 1))
    length = data.draw(st.integers(1, steps - start))
    with tempfile.TemporaryDirectory() as folder:
        write_recording(Path(folder), "a", frames, actions)
        read = RecordedSequences(list_recordings(Path(folder))).read(0, start, length)
    assert equal(read, (frames[start : start + length], actions[start : start + length]))


def test_recordings_are_listed_by_name_and_read_by_that_order(tmp_path: Path) -> None:
    plays = {name: play(steps, steps) for name, steps in (("b", 2), ("c-1", 4), ("a", 3))}
    for name, (frames, actions) in plays.items():
        write_recording(tmp_path / "new", name, frames, actions)
    paths = list_recordings(tmp_path / "new")
    assert [path.name for path in paths] == ["a.frames.npy", "b.frames.npy", "c-1.frames.npy"]
    sequences = RecordedSequences(paths)
    assert sequences.lengths.tolist() == [3, 2, 4]
    for index, name in enumerate(("a", "b", "c-1")):
        assert equal(sequences.read(index, 0, len(plays[name][1])), plays[name])


def test_nothing_is_left_beside_a_recording(tmp_path: Path) -> None:
    write_recording(tmp_path, "a", *play(1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.actions.npy", "a.frames.npy"]


def test_a_recording_is_there_when_its_frames_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are written last: a full disk leaves one that is not there, and is written anew."""
    save, (frames, actions) = np.save, play(2)

    def full(file: object, array: NDArray[np.uint8]) -> None:
        if array.ndim == 4:
            raise OSError("no space left")
        save(file, array)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(OSError, match="no space left"):
            write_recording(tmp_path, "a", frames, actions)
    assert (tmp_path / "a.actions.npy").exists()
    assert not has_recording(tmp_path, "a")
    assert not list_recordings(tmp_path)
    write_recording(tmp_path, "a", frames, actions)
    assert has_recording(tmp_path, "a")
    assert not has_recording(tmp_path, "b")


def test_a_folder_without_recordings_has_none(tmp_path: Path) -> None:
    assert list_recordings(tmp_path) == []
    assert list_recordings(tmp_path / "nowhere") == []


# What is refused


def test_frames_that_do_not_fit_their_actions_are_not_written(tmp_path: Path) -> None:
    frames, actions = play(3)
    refused: list[Any] = [frames[:2], frames[:, :64], frames[..., :1], frames.astype(np.float32)]
    for wrong in refused:
        with pytest.raises(DataError, match="3 actions need as many 128 x 128 RGB frames"):
            write_recording(tmp_path, "a", wrong, actions)
    assert not list(tmp_path.iterdir())


def test_actions_that_are_none_are_not_written(tmp_path: Path) -> None:
    frames, actions = play(3)
    actions[2, 15] = 11
    with pytest.raises(ActionError, match="component RY of environment 2 takes 0 to 10, got 11"):
        write_recording(tmp_path, "a", frames, actions)
    assert not has_recording(tmp_path, "a")


def cut(share: float) -> Callable[[Path], object]:
    """Leave only the beginning of a file."""
    return lambda path: path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def overwrite(array: NDArray[np.generic]) -> Callable[[Path], None]:
    """Put another array in its place."""
    return lambda path: np.save(path, array)


def flip_header(path: Path) -> None:
    """A bit of the header's text that is not what it was: a quote is no quote any more."""
    data = bytearray(path.read_bytes())
    data[data.index(b"'descr'")] ^= 1
    path.write_bytes(data)


def as_archive(path: Path) -> None:
    """An archive in its place."""
    with path.open("wb") as file:
        np.savez(file, frames=np.zeros((3, 128, 128, 3), np.uint8))


@pytest.mark.parametrize(
    ("part", "damage"),
    [
        ("frames", cut(0.0)),
        ("frames", cut(0.0001)),
        ("frames", cut(0.5)),
        ("frames", cut(0.999)),
        ("frames", lambda path: path.write_bytes(b"no array" * 100)),
        ("frames", overwrite(np.zeros((2, 128, 128, 3), np.uint8))),
        ("frames", overwrite(np.zeros((3, 64, 64, 3), np.uint8))),
        ("frames", overwrite(np.zeros((3, 128, 128, 3), np.float32))),
        ("frames", flip_header),
        ("frames", as_archive),
        ("actions", flip_header),
        ("actions", lambda path: path.unlink()),
        ("actions", cut(0.0)),
        ("actions", cut(0.5)),
        ("actions", lambda path: path.write_bytes(b"no array" * 100)),
        ("actions", overwrite(np.zeros((3, 15), np.uint8))),
        ("actions", overwrite(np.zeros((3, 16), np.float32))),
        ("actions", overwrite(np.full((3, 16), 2, np.uint8))),
        ("actions", overwrite(np.array(3, np.uint8))),
        ("actions", overwrite(np.zeros((4, 16), np.uint8))),
    ],
)
def test_a_recording_that_is_damaged_or_half_there_is_named(
    tmp_path: Path, part: str, damage: Callable[[Path], object]
) -> None:
    for name in ("good", "hurt"):
        write_recording(tmp_path, name, *play(3))
    damage(tmp_path / f"hurt.{part}.npy")
    with pytest.raises(DataError, match=r"hurt\.(frames|actions)\.npy .*import it anew"):
        RecordedSequences(list_recordings(tmp_path))
    assert RecordedSequences([tmp_path / "good.frames.npy"]).lengths.tolist() == [3]
