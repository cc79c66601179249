"""Laws of the beat, with a clock that only moves when it is told to."""

import pytest

from envs.window.clock import Clock


class Time:
    """A clock whose sleeper wakes up late by what it is told."""

    def __init__(self, oversleep: float = 0.0) -> None:
        self.now, self.slept, self._oversleep = 50.0, [], oversleep

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds + self._oversleep


def started(time: Time) -> Clock:
    clock = Clock(0.1, time, time.sleep)
    assert clock.start() == 50.0
    return clock


def test_deadlines_lie_on_one_grid_however_long_the_work_takes():
    time = Time()
    clock = started(time)
    dues = []
    for work in (0.01, 0.09, 0.05, 0.0):
        time.now += work
        dues.append(clock.wait().due)
    assert dues == pytest.approx([50.1, 50.2, 50.3, 50.4])
    assert time.slept == pytest.approx([0.09, 0.01, 0.05, 0.1])


def test_slack_is_what_was_left():
    time = Time()
    clock = started(time)
    time.now += 0.03
    beat = clock.wait()
    assert beat.slack == pytest.approx(0.07)
    assert not beat.missed
    assert beat.skipped == 0


def test_a_sleeper_that_wakes_late_does_not_move_the_grid():
    time = Time(oversleep=0.002)
    clock = started(time)
    beats = [clock.wait() for _ in range(3)]
    assert [beat.late for beat in beats] == pytest.approx([0.002] * 3)
    assert [beat.due for beat in beats] == pytest.approx([50.1, 50.2, 50.3])
    assert not any(beat.missed for beat in beats)


def test_a_step_that_is_too_slow_is_taken_at_once_and_said_to_be_late():
    time = Time()
    clock = started(time)
    time.now += 0.13
    beat = clock.wait()
    assert time.slept == []
    assert (beat.due, beat.late, beat.slack) == pytest.approx((50.1, 0.03, -0.03))
    assert beat.missed
    assert beat.skipped == 0
    assert clock.wait().due == pytest.approx(50.2)  # and the next is shorter


def test_deadlines_that_passed_whole_are_left_out_and_counted():
    time = Time()
    clock = started(time)
    time.now += 0.37
    beat = clock.wait()
    assert (beat.due, beat.late, beat.slack) == pytest.approx((50.3, 0.07, -0.27))
    assert beat.skipped == 2
    assert beat.missed
    assert clock.wait().due == pytest.approx(50.4)


def test_a_new_start_is_a_new_grid():
    time = Time()
    clock = started(time)
    clock.wait()
    time.now += 7.77
    assert clock.start() == time.now
    assert clock.wait().due == pytest.approx(50.1 + 7.77 + 0.1)
