"""Laws of reports: they come back from the wire and from the journal as they were, and what is none is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.episode import Episode
from envs.errors import CheckpointError, DataError
from rollout.codec import wire_key
from rollout.delivery.keys import Key
from rollout.delivery.reports import Dropped, Played, read_report, recall_report, written
from rollout.wire import rollout_pb2 as wire
from tests.rollout.desks import Make, message, played

Content = Callable[[Episode], dict[str, Any]]
UINT64 = st.integers(0, 2**64 - 1)
KEYS = st.builds(Key, st.text(max_size=20), UINT64, UINT64)


def test_an_episode_comes_back_with_its_stamp(make_episode: Make, content: Content) -> None:
    report = played(make_episode(seed=7), Key("ann", 3, 9), 4, 1, temperature=0.5)
    came = recall_report(message(report))
    assert isinstance(came, Played)
    assert content(came.episode) == content(report.episode)
    assert came.stamp == report.stamp
    assert (came.key, came.assignment, came.index) == (Key("ann", 3, 9), 4, 1)


@given(key=st.one_of(st.none(), KEYS), assignment=UINT64, index=st.integers(0, 2**32 - 1), reason=st.text(max_size=200))
def test_a_dropped_episode_comes_back_as_it_was(key: Key | None, assignment: int, index: int, reason: str) -> None:
    dropped = Dropped(key, assignment, index, reason)
    assert recall_report(written(dropped)) == dropped


def test_a_reason_is_kept_to_its_first_200_characters() -> None:
    dropped = wire.Dropped(key=wire_key(Key("ann", 0, 0)), reason="x" * 10**6)
    report = read_report(wire.FromWorker(dropped=dropped))
    assert report == Dropped(Key("ann", 0, 0), 0, 0, "x" * 200)


def test_a_key_of_noughts_is_a_key() -> None:
    report = read_report(wire.FromWorker(dropped=wire.Dropped(key=wire.Key())))
    assert report.key == Key("", 0, 0)


@pytest.mark.parametrize(
    "other", [wire.FromWorker(), wire.FromWorker(ready=wire.Ready()), wire.FromWorker(hello=wire.Hello())]
)
def test_what_is_neither_played_nor_dropped_is_no_report(other: wire.FromWorker) -> None:
    with pytest.raises(DataError, match="a report is an episode or a dropped one, got"):
        read_report(other)
    with pytest.raises(CheckpointError, match="the journal holds what is no report"):
        recall_report(other.SerializeToString())


def test_an_episode_that_is_not_a_good_one_is_no_report() -> None:
    with pytest.raises(DataError, match="got 0 steps"):
        read_report(wire.FromWorker(episode=wire.Episode()))


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_report_or_are_refused(data: bytes) -> None:
    try:
        report = recall_report(data)
    except CheckpointError:
        return
    assert isinstance(report, Dropped)


def test_what_was_dropped_says_what_and_why() -> None:
    assert str(Dropped(None, 7, 2, "the game was lost")) == "episode 2 of assignment 7 is dropped: the game was lost"
