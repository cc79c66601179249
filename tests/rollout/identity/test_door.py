"""Laws of the door before the learner's server: how much of it one caller may take, and what a stranger may."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from envs.errors import TrustError
from rollout.identity.door import Door, Limits, Pace


class Ended(Exception):
    """What gRPC raises in a call that is ended."""


class Call:
    """A strict fake of a call."""

    def __init__(self, name: str) -> None:
        self.name, self.code = name, grpc.StatusCode.OK
        self.left: list[Callable[[], None]] = []
        self.cancelled = False

    def abort(self, code: Any, details: str) -> None:
        assert details
        self.code = code
        raise Ended(details)

    def add_callback(self, callback: Callable[[], None]) -> bool:
        self.left.append(callback)
        return True

    def cancel(self) -> None:
        self.cancelled = True
        self.end()

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    def end(self) -> None:
        for callback in self.left:
            callback()


class Names:
    """Trust in what a call says of itself; nobody knows those without a name."""

    anonymous_health = True

    def listen(self, server: grpc.Server, address: str) -> int:
        return 1

    def worker(self, context: Any) -> str:
        if not context.name:
            raise TrustError("who are you?")
        return context.name


class Clock:
    """Stands still unless it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def door(**limits: Any) -> tuple[Door, Clock]:
    clock = Clock()
    return Door(Names(), Limits(**limits), clock), clock


def come(at: Door, name: str = "ann") -> Call:
    call: Any = Call(name)
    assert at.worker(call) == name
    return call


def turned_away(at: Door, name: str = "ann") -> str:
    call: Any = Call(name)
    with pytest.raises(Ended) as error:
        at.worker(call)
    assert call.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not call.left
    return str(error.value)


def test_a_worker_has_so_many_calls_at_a_time_and_leaves_the_others_theirs():
    at, _ = door(calls=3)
    calls = [come(at) for _ in range(3)]
    assert turned_away(at) == "ann has 3 calls already; end one, or wait a little"
    come(at, "bob")
    calls[1].end()
    come(at)
    turned_away(at)


def test_a_worker_has_so_many_calls_a_second_however_soon_they_end():
    at, clock = door(calls_a_second=2.0, calls_at_once=5.0)
    for _ in range(5):
        come(at).end()
    assert "2 times a second" in turned_away(at)
    come(at, "bob")
    clock.now += 1.0
    for _ in range(2):
        come(at).end()
    turned_away(at)


def test_those_whom_nobody_knows_share_one_place():
    at, _ = door(calls=2)
    strangers: list[Any] = [Call("") for _ in range(2)]
    for stranger in strangers:
        with pytest.raises(TrustError, match="who are you"):
            at.worker(stranger)
    assert "whoever is not known has 2 calls already" in turned_away(at, "")
    come(at)
    strangers[0].end()
    with pytest.raises(TrustError):
        at.worker(strangers[0])


def test_a_call_that_does_not_say_what_it_wants_is_ended():
    at, clock = door(greeting=10.0)
    early, late = come(at), come(at)
    silent: Any = early
    at.greeted(silent)
    clock.now += 9.9
    at.look_around()
    assert not late.cancelled
    clock.now += 0.1
    at.look_around()
    assert (early.cancelled, late.cancelled) == (False, True)


def test_the_policy_has_its_time_and_is_not_fetched_again_and_again():
    at, clock = door(greeting=10.0, fetching=100.0, policies_a_second=0.1, policies_at_once=2.0)
    calls: list[Any] = [come(at) for _ in range(3)]
    for call in calls[:2]:
        at.fetches("ann", call)
    with pytest.raises(Ended, match="too often"):
        at.fetches("ann", calls[2])
    clock.now += 99.0
    at.look_around()
    assert [call.cancelled for call in calls] == [False, False, True]
    at.fetches("ann", calls[2])
    clock.now += 1.0
    at.look_around()
    assert [call.cancelled for call in calls] == [True, True, True]


def test_who_says_too_much_waits_so_long_that_it_keeps_its_rate():
    clock = Clock()
    pace = Pace(10.0, 4.0, clock)
    assert [pace.spend() for _ in range(4)] == [0.0] * 4
    assert pace.spend() == pytest.approx(0.1)
    assert pace.spend(5) == pytest.approx(0.6)
    assert not pace.afford()
    clock.now += 1e6
    assert pace.afford(4)
    assert not pace.afford()


def test_one_worker_has_one_pace_in_all_its_calls():
    at, _ = door()
    assert at.messages("ann") is at.messages("ann")
    assert at.messages("ann") is not at.messages("bob")
