"""Laws of the videos: each is made once, is whole, and is there again when it was lost."""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from envs.episode import Episode
from skygarden.designer import clips as module
from skygarden.designer.clips import SIZE, Clips
from skygarden.video import write_video
from tests.skygarden.designer.conftest import short_episode

STEPS = (3, 5, 4)


@pytest.fixture
def walks() -> list[Episode]:
    return [short_episode(seed, steps) for seed, steps in enumerate(STEPS)]


@pytest.fixture
def clips(walks: list[Episode], tmp_path: Path) -> Iterator[Clips]:
    clips = Clips(walks, tmp_path / "videos")
    yield clips
    clips.close()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the videos that were made, in order."""
    names: list[str] = []

    def write(path: Path, frames: Iterable[NDArray[np.uint8]], effort: str) -> None:
        names.append(path.name)
        write_video(path, frames, effort=effort)

    monkeypatch.setattr(module, "write_video", write)
    return names


def frames_of(video: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(video)) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]


def test_a_video_shows_every_step_and_the_arrival_ten_a_second(clips: Clips) -> None:
    for index, steps in enumerate(STEPS):
        with av.open(str(clips.video(index))) as container:
            stream = container.streams.video[0]
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
            assert (len(frames), stream.codec_context.name, stream.average_rate) == (steps + 1, "h264", 10)
        assert frames[0].shape == (SIZE, SIZE, 3)
        assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 1  # something moves


def test_videos_of_different_episodes_differ(clips: Clips) -> None:
    first, second = (frames_of(clips.video(index))[0].astype(int) for index in (0, 1))
    assert np.abs(first - second).mean() > 1


def test_a_video_is_made_once_and_kept(clips: Clips, walks: list[Episode], made: list[str], tmp_path: Path) -> None:
    path = clips.video(1)
    when = path.stat().st_mtime_ns
    clips.prepare([1, 1])
    assert clips.video(1) == path
    clips.close()
    later = Clips(walks, tmp_path / "videos")
    assert later.video(1).stat().st_mtime_ns == when
    later.close()
    assert made == ["000001.mp4"]


def test_a_video_that_is_gone_is_made_again(clips: Clips, made: list[str]) -> None:
    path = clips.video(0)
    before = path.read_bytes()
    path.unlink()
    assert clips.video(0).read_bytes() == before
    path.unlink()
    path.parent.rmdir()
    assert clips.video(0).read_bytes() == before
    assert made == ["000000.mp4"] * 3


def test_all_who_ask_for_a_video_at_once_get_the_one_that_is_made(clips: Clips, made: list[str]) -> None:
    together = threading.Barrier(6)

    def watch(_: int) -> Path:
        together.wait()
        return clips.video(2)

    with ThreadPoolExecutor(6) as pool:
        paths = set(pool.map(watch, range(6)))
    assert paths == {clips.video(2)}
    assert made == ["000002.mp4"]


def test_a_video_that_failed_is_tried_again(clips: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, effort: str) -> None:
        raise OSError(f"the disk is full, {effort}")

    with monkeypatch.context() as broken:
        broken.setattr(module, "write_video", fail)
        with pytest.raises(OSError, match="disk is full"):
            clips.video(0)
    assert len(frames_of(clips.video(0))) == STEPS[0] + 1


@pytest.mark.parametrize("index", [-1, 3, 10**9])
def test_there_is_no_video_of_what_is_no_episode(clips: Clips, index: int) -> None:
    with pytest.raises(IndexError, match=f"no trajectory {index}; there are 3"):
        clips.video(index)
