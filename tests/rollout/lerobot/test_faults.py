"""Each fault made up, and found by its name; play without one is good."""

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from envs.gamepad import NOOP
from rollout.lerobot.dataset import Dataset
from rollout.lerobot.decoded import decode, list_decoded
from rollout.lerobot.faults import CheckConfig, check_episode, faults_of_track
from rollout.lerobot.film import Film
from rollout.lerobot.journal import Header
from rollout.lerobot.track import PAD, Track
from rollout.lerobot.unfinished import Unfinished, finish
from rollout.recordings import RecordedSequences
from tests.rollout.lerobot.conftest import SIZE, Play, Record

CONFIG = CheckConfig()


def long_track(play: Play, steps: int = 1000) -> Track:
    """Good play, long enough for anything to stick."""
    return Track.of(play(steps, 0)[1])


def idle_at_a_stretch(track: Track) -> None:
    track.actions[100:705] = NOOP


def idle_in_most_steps(track: Track) -> None:
    track.actions[np.arange(1000) % 5 > 0] = NOOP


def stuck_button(track: Track) -> None:
    track.pads[100:705, PAD.index("RB held")] = 1.0
    track.pads[[99, 705], PAD.index("RB held")] = 0.0


def stuck_stick(track: Track) -> None:
    track.pads[100:705, PAD.index("RX")] = -0.62


def a_gap(track: Track) -> None:
    track.times[500:] += 0.9


def many_dropped(track: Track) -> None:
    track.times[:] += np.cumsum(np.arange(1000) % 20 == 10) * 0.1


def uneven(track: Track) -> None:
    track.times[::2] += 0.04


def backwards(track: Track) -> None:
    track.times[500:] -= 60


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (idle_at_a_stretch, r"idle: nothing pressed for 60 s"),
        (idle_in_most_steps, r"idle: nothing pressed in 80% of the steps"),
        (stuck_button, r"stuck: RB held for 60 s"),
        (stuck_stick, r"stuck: RX at -0.62 for 60 s"),
        (a_gap, r"dropped: no frame for 1.0 s after step 499"),
        (many_dropped, r"dropped: 50 frames, 4.8%"),
        (uneven, r"uneven: 100% of the frames came more than 30 ms too early or too late"),
        (backwards, r"times run backwards at step 500"),
    ],
)
def test_a_fault_is_named_and_is_the_only_one(play: Play, spoil: Callable[[Track], None], fault: str):
    track = long_track(play)
    assert faults_of_track(track, 10, CONFIG) == []
    spoil(track)
    found = faults_of_track(track, 10, CONFIG)
    assert len(found) == 1
    assert found[0].startswith(fault) or pytest.fail(found[0])


def test_what_rests_is_not_stuck(play: Play):
    track = long_track(play)
    track.pads[:, PAD.index("LX")] = 0.05  # a stick that does not come back to its middle all the way
    track.pads[:, PAD.index("START held")] = 0.0
    assert faults_of_track(track, 10, CONFIG) == []


def test_short_play_is_named(play: Play):
    assert faults_of_track(long_track(play, 31), 10, CONFIG) == ["too short: 31 steps, 32 are needed"]


def test_good_play_has_no_fault(record: Record):
    dataset = record(40, 1)
    assert check_episode(dataset, dataset.entries()[0], CONFIG) == []


@pytest.mark.parametrize(("kind", "fault"), [("black", "black: 100%"), ("frozen", "frozen: ")])
def test_pictures_that_show_nothing_are_named(play: Play, record: Record, kind: str, fault: str):
    root = record(40, 1).root
    frames, steps = play(80, 2)
    shown = np.zeros_like(frames[0]) if kind == "black" else frames[0]
    with Unfinished(root, Header(name="bad", task="", fps=10, height=SIZE[0], width=SIZE[1])) as episode:
        for step in steps:
            episode.append(shown, step)
    assert list(finish(root)) == [("bad", 80)]
    dataset = Dataset(root)
    good, bad = (check_episode(dataset, entry, CONFIG) for entry in dataset.entries())
    assert good == []
    assert any(name.startswith(fault) for name in bad)


def test_a_film_of_another_length_is_named(record: Record, play: Play):
    dataset = record(40, 1)
    entry = dataset.entries()[0]
    entry.film.unlink()
    with Film(entry.film, SIZE, 10) as film:
        for frame in play(35, 1)[0]:
            film.append(frame)
    assert check_episode(dataset, entry, CONFIG) == ["wrong length: 35 frames, and its metadata say 40 steps"]


def test_steps_of_another_number_are_named(record: Record):
    dataset = record(40, 1)
    faults = check_episode(dataset, dataclasses.replace(dataset.entries()[0], length=39, end=3.9), CONFIG)
    assert faults == ["wrong length: 40 steps, and its metadata say 39"]


@pytest.mark.parametrize("part", ["film", "data"])
def test_a_file_that_is_lost_or_damaged_is_named(record: Record, part: str):
    dataset = record(40, 1)
    entry = dataset.entries()[0]
    path = entry.film if part == "film" else entry.data
    path.write_bytes(path.read_bytes()[:2000])
    (fault,) = check_episode(dataset, entry, CONFIG)
    assert "unreadable" in fault
    path.unlink()
    (fault,) = check_episode(dataset, entry, CONFIG)
    assert "unreadable" in fault


def test_good_episodes_are_decoded_once_and_bad_ones_left_out_with_the_reason(record: Record, play: Play):
    record(12, 1)
    dataset = record(40, 2)
    decoded = list(decode(dataset, CONFIG))
    assert [(one.entry.name, one.faults) for one in decoded] == [
        ("take-1", ("too short: 12 steps, 32 are needed",)),
        ("take-2", ()),
    ]
    (path,) = list_decoded(dataset, {"take-2"})
    before = path.stat().st_mtime_ns
    list(decode(dataset, CONFIG))
    assert path.stat().st_mtime_ns == before
    sequences = RecordedSequences([path])
    frames, actions = sequences.read(0, 10, 20)
    played, steps = play(40, 2)
    assert np.array_equal(actions, [step.action for step in steps[10:30]])
    for mine, theirs in zip(frames, played[10:30], strict=True):
        shrunk = np.asarray(cv2.resize(theirs, (128, 128), interpolation=cv2.INTER_AREA))
        assert np.abs(mine.astype(int) - shrunk).mean() < 4
