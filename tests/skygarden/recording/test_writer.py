import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from envs.gamepad import NOOP
from rollout.lerobot.dataset import Dataset
from rollout.lerobot.track import Held, Step
from rollout.lerobot.unfinished import Unfinished, finish
from skygarden.recording import writer as module
from skygarden.recording.writer import Writer, WriterConfig


class Blank:
    """A picture of nothing."""

    time = 0.0

    def rgb(self) -> NDArray[np.uint8]:
        return np.zeros((120, 160, 3), np.uint8)


FRAME = Blank()


def step(number: int) -> Step:
    return Step(number / 10, Held().vector(), NOOP)


def lengths(root: Path) -> list[int | str]:
    return [steps for _, steps in finish(root)]


def test_cuts_and_length_make_episodes_and_frames_get_the_datasets_size(tmp_path: Path):
    with Writer(tmp_path, WriterConfig(task="go", size=(96, 128), longest=2.0)) as writer:
        for number in range(22):
            writer.add(FRAME, step(number))
        writer.cut()
        writer.cut()
        for number in range(4):
            writer.add(FRAME, step(100 + number))
    assert (writer.written, writer.dropped, writer.episodes) == (26, 0, 3)
    assert lengths(tmp_path) == [20, 2, 4]
    assert Dataset(tmp_path).size == (96, 128)


def test_what_cannot_be_written_in_time_is_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    let_go = threading.Event()
    append = Unfinished.append

    def slow(self: Unfinished, frame: NDArray[np.uint8], step: Step) -> None:
        let_go.wait(30)
        append(self, frame, step)

    monkeypatch.setattr(Unfinished, "append", slow)
    with Writer(tmp_path, WriterConfig(task="go", size=(96, 128))) as writer:
        for number in range(100):
            writer.add(FRAME, step(number))
        let_go.set()
    assert writer.written + writer.dropped == 100
    assert 60 <= writer.dropped <= 70
    assert lengths(tmp_path) == [writer.written]


def play_until_it_fails(writer: Writer) -> None:
    for number in range(25):
        writer.add(FRAME, step(number))
    while writer.failure is None:
        time.sleep(0.01)
    for _ in range(100):
        writer.cut()  # does not wait for a thread that is gone


def test_what_stops_the_writer_is_told_and_what_was_written_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    append = Unfinished.append

    def full(self: Unfinished, frame: NDArray[np.uint8], step: Step) -> None:
        if step.time > 1.95:
            raise OSError(28, "No space left on device")
        append(self, frame, step)

    monkeypatch.setattr(module.Unfinished, "append", full)
    writer = Writer(tmp_path, WriterConfig(task="go", size=(96, 128)))
    with pytest.raises(OSError, match="No space"), writer:
        play_until_it_fails(writer)
    assert str(writer.failure) == "[Errno 28] No space left on device"
    assert lengths(tmp_path) == [20]
