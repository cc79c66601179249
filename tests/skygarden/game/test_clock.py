"""Sixty ticks a second by a clock that the tests hold."""

import numpy as np
import pytest

from skygarden.game.clock import MOST, TickClock

TICK = 1 / 60


def test_a_tick_is_due_every_sixtieth() -> None:
    clock = TickClock(5.0)
    assert [clock.due(5.0 + t) for t in (0.0, 0.01, 0.017, 0.02, 0.034, 0.0501)] == [0, 0, 1, 0, 1, 1]


def test_ticks_that_a_slow_frame_held_up_are_caught_up_with() -> None:
    clock = TickClock(0.0)
    assert clock.due(0.1) == 6
    assert clock.due(0.1 + 10.5 * TICK) == 10
    assert clock.due(0.1 + 11 * TICK) == 1


def test_what_is_more_than_fifteen_ticks_is_lost() -> None:
    clock = TickClock(0.0)
    assert clock.due(15 * TICK) == 15
    assert clock.due(100.0) == MOST == 15
    assert clock.due(100.0) == 0
    assert clock.due(100.0 + 1.5 * TICK) == 1


def test_waiting_ends_when_the_next_tick_is_due() -> None:
    clock = TickClock(1.0)
    assert clock.wait(1.004) == pytest.approx(TICK - 0.004)
    assert clock.due(1.0 + TICK) == 1
    assert clock.wait(1.0 + 1.25 * TICK) == pytest.approx(0.75 * TICK)
    assert clock.wait(2.0) == 0.0


def test_an_hour_has_216000_ticks_whatever_the_frames_take() -> None:
    clock, now, ticks, rng = TickClock(77.0), 77.0, 0, np.random.default_rng(0)
    while now < 77.0 + 3600.0:
        now = min(77.0 + 3600.0, now + float(rng.uniform(0.001, 0.2)))
        ticks += clock.due(now)
    assert ticks == 216_000


def test_a_frame_that_waits_as_told_does_one_tick() -> None:
    clock, now = TickClock(12345.678), 12345.678
    for _ in range(10_000):
        now += clock.wait(now)
        assert clock.due(now) == 1


def test_a_clock_that_goes_back_owes_nothing() -> None:
    clock = TickClock(10.0)
    assert clock.due(9.0) == 0
    assert clock.due(10.0 + TICK) == 1
