"""Replays: what is read back is what was seen."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from envs.backend import SIDE
from envs.errors import OptionError, ReplayError
from envs.gamepad import Gamepad, decode, encode
from envs.standin.characters import PACE, WARDROBE
from envs.standin.gameplay import MATCH_STEPS, list_replays, match_path, record_gameplay, record_match
from envs.standin.physics import BODY, SUBSTEPS
from envs.standin.replay import KEY_EVERY, Recorder, Replay, ReplayReader, Sight
from envs.standin.simulation import (
    NO_TRAIL,
    advance_and_draw,
    advance_body,
    advance_ticks,
    make_brush,
    new_turn,
    picture_of,
    put_body,
)


@pytest.fixture(scope="module")
def match() -> Replay:
    return record_match(seed=7, index=3)


def live_frames(match: Replay, steps: int) -> np.ndarray:
    """Play a match again from its actions alone, drawing every step as the live environment does."""
    recorder = Recorder(match.dressing, match.character, match.skin, match.player, match.seed)
    brush = make_brush(recorder.stage, SIDE, SIDE)
    lives = dict(match.lives.tolist())
    frames = np.empty((steps, SIDE, SIDE, 3), np.uint8)
    cast = (recorder.body, np.array([match.character]), np.array([match.skin]))
    for step in range(steps):
        if step in lives:
            recorder.begin(lives[step])
        still, nothing = np.zeros(1, np.bool_), np.zeros((1, 16), np.uint8)
        advance_and_draw(recorder.stage, brush, cast, nothing, still, new_turn(), 1, frames[step : step + 1])
        recorder.step(match.actions[step])
    return frames


def test_any_window_equals_the_live_run_bit_for_bit(match: Replay) -> None:
    live = live_frames(match, 1100)
    reader = ReplayReader(match)
    births = match.lives[1:3, 0].tolist()
    for start in (
        0,
        1,
        33,
        KEY_EVERY - 1,
        KEY_EVERY,
        KEY_EVERY + 1,
        2 * KEY_EVERY - 16,
        *(b - 5 for b in births),
        *births,
    ):
        frames, actions = reader.window(start, 32)
        assert np.array_equal(frames, live[start : start + 32]), start
        assert np.array_equal(actions, match.actions[start : start + 32])


def test_frames_that_actions_follow_late_show_the_player_so_many_ticks_earlier() -> None:
    """Straight ahead over the lawn, where nothing pulls the camera in: ticks are all that differs."""
    recorder = Recorder(0, 0, 0, "test", 0)
    recorder.begin(1)
    ahead, turning = Gamepad(ly=1.0), Gamepad(lx=0.4, ly=1.0, rx=0.2)
    actions = [encode(turning if step % 3 == 2 else ahead) for step in range(60)]
    for action in actions:
        recorder.step(action)
    reader = ReplayReader(recorder.replay())
    for late in (1, 2, 5):
        for start in (1, 2, KEY_EVERY, KEY_EVERY + 1):
            body = np.zeros(1, BODY)
            put_body(recorder.stage, body, 1, float(WARDROBE.build[0, PACE]), False)
            for action in actions[: start - 1]:
                advance_body(recorder.stage, body, action[None], NO_TRAIL, 0)
            held = decode(actions[start - 1])
            advance_ticks(recorder.stage, body, 0, (held.lx, held.ly), (held.rx, held.ry), SUBSTEPS - late)
            frames, pressed = reader.window(start, 3, sight=Sight(late))
            assert np.array_equal(frames[0], picture_of(recorder.stage, body, 0, 0, SIDE, SIDE)), (late, start)
            assert np.array_equal(pressed, actions[start : start + 3])


def test_no_frame_is_from_before_its_life_began() -> None:
    busy = record_match(seed=0, index=5)
    reader = ReplayReader(busy)
    for birth in busy.lives[:3, 0].tolist():
        on_time, late = reader.window(birth, 9)[0], reader.window(birth, 9, sight=Sight(late=5))[0]
        assert np.array_equal(late[0], on_time[0])
        assert not np.array_equal(late, on_time)


def test_frames_as_a_window_gives_them_are_drawn_large_and_shrunk(match: Replay) -> None:
    reader = ReplayReader(match)
    frames, pressed = reader.window(60, 3, sight=Sight(drawn=256))
    assert np.array_equal(pressed, match.actions[60:63])
    recorder = Recorder(match.dressing, match.character, match.skin, match.player, match.seed)
    recorder.begin(int(match.lives[0, 1]))
    for step in range(62):
        recorder.step(match.actions[step])
    large = picture_of(recorder.stage, recorder.body, match.character, match.skin, 256, 256).astype(float)
    shrunk = large.reshape(SIDE, 2, SIDE, 2, 3).mean(axis=(1, 3))
    assert np.abs(frames[2] - shrunk).max() <= 1.0


@pytest.mark.parametrize("wrong", [{"late": -1}, {"late": 6}, {"drawn": 127}])
def test_a_sight_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ReplayError, match="0 to 5 ticks after their frames, which are drawn at 128"):
        Sight(**wrong)


def test_a_window_is_drawn_where_it_is_told_to(match: Replay) -> None:
    reader = ReplayReader(match)
    out = np.empty((32, SIDE, SIDE, 3), np.uint8)
    assert reader.window(40, 32, out)[0] is out
    assert np.array_equal(out, reader.window(40, 32)[0])


def test_a_recorded_match_is_the_same_for_the_same_seed(match: Replay) -> None:
    again = record_match(seed=7, index=3)
    assert np.array_equal(again.actions, match.actions)
    assert not np.array_equal(record_match(seed=8, index=3).actions, match.actions)


def test_a_saved_replay_comes_back_whole(match: Replay, tmp_path: Path) -> None:
    match.save(tmp_path / "m.npz")
    back = Replay.load(tmp_path / "m.npz")
    for f in dataclasses.fields(Replay):
        assert np.array_equal(getattr(back, f.name), getattr(match, f.name)), f.name
    assert [p.name for p in tmp_path.iterdir()] == ["m.npz"]  # nothing half-written is left beside it


def test_an_hour_of_play_takes_less_than_a_megabyte(match: Replay, tmp_path: Path) -> None:
    sizes: list[int] = []
    for k in range(12):  # twelve matches of five minutes
        record_match(seed=1, index=k).save(match_path(tmp_path, k))
        sizes.append(match_path(tmp_path, k).stat().st_size)
    assert MATCH_STEPS * 12 == 36_000
    assert sum(sizes) < 1_000_000


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_replay_that_is_cut_short_is_refused(match: Replay, tmp_path: Path, share: float) -> None:
    whole, cut = tmp_path / "whole.npz", tmp_path / "cut.npz"
    match.save(whole)
    data = whole.read_bytes()
    cut.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ReplayError, match=r"cut\.npz is damaged or cut short"):
        Replay.load(cut)


def test_a_replay_with_a_flipped_bit_is_refused(match: Replay, tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    match.save(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(ReplayError):
        ReplayReader(Replay.load(path)).window(0, 32)


def test_a_replay_of_another_version_is_refused(match: Replay, tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    fields = {f.name: getattr(match, f.name) for f in dataclasses.fields(Replay)}
    np.savez_compressed(path, version=99, **fields)
    with pytest.raises(ReplayError, match="is of version 99, this program reads 2"):
        Replay.load(path)


def test_a_replay_of_other_rules_is_refused_before_it_shows_a_wrong_frame(match: Replay) -> None:
    keys = match.keys.copy()
    keys[1, 0] += 0.01  # a centimetre aside
    with pytest.raises(ReplayError, match="other rules of motion"):
        ReplayReader(dataclasses.replace(match, keys=keys)).window(0, 1)


def test_parts_that_do_not_fit_together_are_named(match: Replay) -> None:
    with pytest.raises(ReplayError, match="actions"):
        dataclasses.replace(match, actions=match.actions[:, :15])
    with pytest.raises(ReplayError, match="lives"):
        dataclasses.replace(match, lives=match.lives[1:], jumppads=match.jumppads[1:])
    with pytest.raises(ReplayError, match="keys"):
        dataclasses.replace(match, keys=match.keys[:-1])


@pytest.mark.parametrize(("start", "length"), [(-1, 4), (0, 0), (MATCH_STEPS - 3, 4)])
def test_a_window_outside_the_replay_is_refused(match: Replay, start: int, length: int) -> None:
    with pytest.raises(ReplayError, match="are not all in a replay of 3000 steps"):
        ReplayReader(match).window(start, length)


def test_a_missing_replay_and_an_empty_folder_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match="there is no replay"):
        Replay.load(tmp_path / "none.npz")
    with pytest.raises(OptionError, match="skygarden gameplay"):
        list_replays(tmp_path)


def test_recording_goes_on_where_it_stopped(tmp_path: Path) -> None:
    hours = 3 * MATCH_STEPS / 36_000
    record_match(seed=5, index=1).save(match_path(tmp_path, 1))
    before = match_path(tmp_path, 1).stat().st_mtime_ns
    counts = list(record_gameplay(tmp_path, hours, seed=5, processes=1))
    assert counts[0] == (1, 3)
    assert counts[-1] == (3, 3)
    assert len(list_replays(tmp_path)) == 3
    assert match_path(tmp_path, 1).stat().st_mtime_ns == before
    assert np.array_equal(Replay.load(match_path(tmp_path, 2)).actions, record_match(seed=5, index=2).actions)


def test_gameplay_of_no_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="hours must be positive, got 0"):
        next(record_gameplay(tmp_path, 0, seed=0))
