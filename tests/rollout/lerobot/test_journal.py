from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.errors import DataError
from envs.gamepad import SIZES
from envs.window.pad import HELD
from rollout.lerobot.journal import Header, Journal, decode_steps, encode_step, read_journal
from rollout.lerobot.track import RAW_AXES, Held, Step, Track

HEADER = Header(name="a", task="go", fps=10, height=96, width=128)
AXIS = st.floats(-1, 1, width=32)

helds = st.builds(Held, st.tuples(*[AXIS] * len(RAW_AXES)), st.frozensets(st.sampled_from(HELD)))
actions = st.tuples(*(st.integers(0, size - 1) for size in SIZES)).map(lambda action: np.array(action, np.uint8))
steps = st.builds(lambda time, held, action: Step(time, held.vector(), action), st.floats(0, 1e9), helds, actions)


def written(played: list[Step]) -> bytes:
    return b"".join(encode_step(number, step) for number, step in enumerate(played))


def same(track: Track, played: list[Step]) -> bool:
    expected = Track.of(played)
    names = ("times", "pads", "actions")
    return all(np.array_equal(getattr(track, name), getattr(expected, name)) for name in names)


@given(st.lists(steps, max_size=5))
def test_what_is_written_is_read(played: list[Step]):
    assert same(decode_steps(written(played)), played)


@given(st.lists(steps, min_size=1, max_size=4), st.data())
def test_a_torn_journal_gives_the_steps_before_the_tear(played: list[Step], data: st.DataObject):
    whole = written(played)
    cut = data.draw(st.integers(0, len(whole)))
    assert same(decode_steps(whole[:cut]), played[: cut * len(played) // len(whole)])


@given(st.lists(steps, min_size=1, max_size=4), st.data())
def test_a_damaged_record_and_all_after_it_are_left_out(played: list[Step], data: st.DataObject):
    whole = bytearray(written(played))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    assert same(decode_steps(bytes(whole)), played[: at * len(played) // len(whole)])


@given(steps)
def test_a_record_out_of_its_place_is_left_out(step: Step):
    assert len(decode_steps(encode_step(0, step) + encode_step(2, step))) == 1


def test_a_step_is_in_the_file_as_soon_as_it_is_appended(tmp_path: Path):
    step = Step(1.5, Held().vector(), np.array([0] * 12 + [5] * 4, np.uint8))
    with Journal(tmp_path / "journal", HEADER) as journal:
        for count in range(1, 4):
            journal.append(step)
            header, track = read_journal(tmp_path / "journal")
            assert (header, len(track)) == (HEADER, count)


@pytest.mark.parametrize("data", [b"", b"{", b"[]\n", b'{"version": 1}\n', b'{"name": "a", "version": 2}\n'])
def test_a_journal_without_a_whole_header_says_so(tmp_path: Path, data: bytes):
    (tmp_path / "journal").write_bytes(data)
    with pytest.raises(DataError, match=r"header|version"):
        read_journal(tmp_path / "journal")


def test_a_pad_out_of_range_is_refused():
    with pytest.raises(DataError, match="buttons"):
        Held(pressed=frozenset({"GUIDE"}))
    with pytest.raises(DataError, match="axes"):
        Held(axes=(2.0, 0, 0, 0, 0, 0))
