import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from envs.errors import DataError
from rollout.lerobot.dataset import Dataset, is_dataset
from rollout.lerobot.film import Film, cut_torn, key_frames, read_film
from rollout.lerobot.journal import Header
from rollout.lerobot.stats import stats_of, stats_of_pictures, together
from rollout.lerobot.track import Track
from rollout.lerobot.unfinished import Unfinished, finish
from tests.rollout.lerobot.conftest import SIZE, Play, Record


def test_what_was_recorded_is_read_back(record: Record, play: Play):
    record(35, 1)
    dataset = record(52, 2, "go right")
    assert (len(dataset), dataset.fps, dataset.size) == (2, 10, SIZE)
    for entry, (seed, task, steps) in zip(dataset.entries(), ((1, "go left", 35), (2, "go right", 52)), strict=True):
        frames, played = play(steps, seed)
        track, expected = dataset.track(entry), Track.of(played)
        assert (entry.name, entry.task, entry.length) == (f"take-{seed}", task, steps)
        assert np.array_equal(track.times, expected.times)
        assert np.array_equal(track.pads, expected.pads)
        assert np.array_equal(track.actions, expected.actions)
        read = list(dataset.frames(entry))
        assert len(read) == steps
        for mine, theirs in zip(read, frames, strict=True):
            assert np.abs(mine.astype(int) - theirs).mean() < 4  # frames move by 4 pixels: another one differs by 12


def test_a_part_of_a_film_begins_and_ends_at_its_moments(record: Record, play: Play):
    """As films that LeRobot joined have it, with several episodes in one file."""
    dataset = record(40, 1)
    entry = dataset.entries()[0]
    frames, _ = play(40, 1)
    part = list(read_film(entry.film, 1.3, 2.5))
    assert len(part) == 12
    assert np.abs(part[0].astype(int) - frames[13]).mean() < 4


def test_the_rows_are_those_of_the_layout(record: Record):
    record(35, 1)
    dataset = record(40, 2)
    rows = [pq.read_table(entry.data).to_pylist() for entry in dataset.entries()]
    last = rows[1][39]
    assert last["index"] == 74
    assert (last["frame_index"], last["episode_index"], last["task_index"]) == (39, 1, 0)
    assert last["timestamp"] == pytest.approx(3.9)
    info = json.loads((dataset.root / "meta/info.json").read_text())
    assert {name: info[name] for name in ("total_episodes", "total_frames", "total_tasks", "splits", "fps")} == {
        "total_episodes": 2, "total_frames": 75, "total_tasks": 1, "splits": {"train": "0:2"}, "fps": 10
    }  # fmt: skip
    assert set(info["features"]) - set(last) == {"observation.images.screen"}


def test_an_episode_that_was_added_is_not_added_again(record: Record, play: Play):
    """Its recorder died after it had added it and before it had removed its folder."""
    dataset = record(35, 1)
    header = Header(name="take-1", task="go left", fps=10, height=SIZE[0], width=SIZE[1])
    with Unfinished(dataset.root, header) as episode:
        for frame, step in zip(*play(35, 1), strict=True):
            episode.append(frame, step)
    assert list(finish(dataset.root)) == [("take-1", 35)]
    assert len(Dataset(dataset.root)) == 1


@pytest.mark.parametrize("lost", ["meta/info.json", "meta/stats.json"])
def test_an_append_that_was_cut_off_is_done_again(record: Record, play: Play, tmp_path: Path, lost: str):
    """All files of the second episode but the last ones were in place when the recorder died."""
    before = tmp_path / "before"
    shutil.copytree(record(35, 1).root, before)
    dataset = record(40, 2, "go right")
    for name in ("meta/info.json", lost):
        shutil.copy(before / name, dataset.root / name)
    assert len(Dataset(dataset.root).entries()) == 1
    header = Header(name="take-2", task="go right", fps=10, height=SIZE[0], width=SIZE[1])
    with Unfinished(dataset.root, header) as episode:
        for frame, step in zip(*play(40, 2), strict=True):
            episode.append(frame, step)
    assert list(finish(dataset.root)) == [("take-2", 40)]
    again = Dataset(dataset.root)
    assert [entry.length for entry in again.entries()] == [35, 40]
    assert len(list(again.frames(again.entries()[1]))) == 40


def test_frames_of_another_size_are_refused(record: Record):
    root = record(35, 1).root
    with pytest.raises(DataError, match="another folder"):
        Dataset.open_or_create(root, 10, (64, 64))


def test_a_folder_that_is_no_recorded_play_is_refused(record: Record, tmp_path: Path):
    assert not is_dataset(tmp_path)
    with pytest.raises(DataError, match="missing"):
        Dataset(tmp_path)
    path = record(35, 1).root / "meta/info.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps(info | {"codebase_version": "v2.1"}))
    with pytest.raises(DataError, match=r"v2\.1"):
        Dataset(path.parents[1])
    info["features"]["action"]["names"] = ["shoulder", "elbow"]
    path.write_text(json.dumps(info))
    with pytest.raises(DataError, match="action"):
        Dataset(path.parents[1])


def test_a_film_is_cut_at_its_last_whole_fragment(tmp_path: Path, play: Play):
    frames, _ = play(35, 0)
    with Film(tmp_path / "film.mp4", SIZE, 10) as film:
        for frame in frames:
            film.append(frame)
    whole = (tmp_path / "film.mp4").read_bytes()
    sizes: set[int] = set()
    for cut in range(0, len(whole), 997):
        (tmp_path / "film.mp4").write_bytes(whole[:cut])
        cut_torn(tmp_path / "film.mp4")
        sizes.add((tmp_path / "film.mp4").stat().st_size)
        assert (tmp_path / "film.mp4").stat().st_size <= cut
    assert len(sizes) <= 7  # nothing, the kinds of boxes at its front, and one for each of four seconds


def test_sampled_pictures_are_spread_over_the_film(record: Record):
    dataset = record(52, 1)
    film = dataset.entries()[0].film
    assert key_frames(film, 100, 48).shape == (6, 48, 64, 3)
    assert key_frames(film, 3, 48).shape == (3, 48, 64, 3)


def test_statistics_of_parts_together_are_those_of_all():
    rng = np.random.default_rng(0)
    numbers = rng.normal(3, 2, (90, 4))
    parts = [stats_of(numbers[:20]), stats_of(numbers[20:])]
    whole, joined = stats_of(numbers), together(parts)
    for name in ("min", "max", "mean", "std", "count"):
        assert np.allclose(joined[name], whole[name])
    assert np.allclose(joined["q50"], (20 * parts[0]["q50"] + 70 * parts[1]["q50"]) / 90)


def test_statistics_of_pictures_are_a_colour_between_0_and_1():
    picture = np.zeros((2, 4, 4, 3), np.uint8)
    picture[..., 0] = 255
    stats = stats_of_pictures(picture)
    assert stats["mean"].tolist() == [[[1.0]], [[0.0]], [[0.0]]]
    assert stats["count"].tolist() == [2]
