"""The pad is let go whatever happens to whoever pushed it."""

import os
import signal
import statistics
import sys
import textwrap
import time
from pathlib import Path

import pytest

from envs.errors import OptionError, PadLostError
from envs.window.guarded_pad import GuardedPad
from envs.window.pad import NEUTRAL, PadConfig, PadState
from envs.window.watchdog import PadKeeper, Patrol

FAKE = Path(__file__).parent / "fake_watchdog.py"
AHEAD = PadState(ly=1.0)
JUMP = PadState(frozenset({"A"}))
LEASE = 0.3


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class RecordingPad:
    """Remembers each state; strict about what it is given."""

    devices = ()
    keycodes = frozenset()

    def __init__(self, due=None):
        self.states, self.due = [], due

    def apply(self, state):
        assert isinstance(state, PadState)
        self.states.append(state)

    def tick(self):
        return self.due

    def close(self):
        raise AssertionError("a keeper does not own its driver")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pad():
    return RecordingPad()


@pytest.fixture
def keeper(pad, clock):
    return PadKeeper(pad, clock)


def test_what_is_held_is_let_go_when_the_lease_runs_out(keeper, pad, clock):
    keeper.hold(AHEAD, LEASE)
    assert keeper.tick() == pytest.approx(0.3)
    clock.now += 0.25
    assert keeper.tick() == pytest.approx(0.05)
    assert pad.states == [AHEAD]
    clock.now += 0.05
    assert keeper.tick() is None
    assert pad.states == [AHEAD, NEUTRAL]
    assert keeper.reasons() == ["late"]
    assert keeper.reasons() == []


def test_each_hold_renews_the_lease(keeper, pad, clock):
    for _ in range(10):
        keeper.hold(AHEAD, LEASE)
        clock.now += 0.25
        keeper.tick()
    assert NEUTRAL not in pad.states
    assert keeper.reasons() == []


def test_one_who_was_late_may_go_on_and_is_told(keeper, pad, clock):
    keeper.hold(AHEAD, LEASE)
    clock.now += 1.0  # the process was stopped: nobody ticked
    keeper.hold(JUMP, LEASE)
    assert pad.states == [AHEAD, NEUTRAL, JUMP]
    assert keeper.reasons() == ["late"]


def test_after_an_objection_nothing_is_held_until_someone_has_seen_to_it(keeper, pad):
    keeper.hold(AHEAD, LEASE)
    keeper.object("focus")
    keeper.hold(AHEAD, LEASE)
    keeper.object("touched: key w")
    keeper.object("focus")
    assert pad.states == [AHEAD, NEUTRAL]
    assert keeper.reasons() == ["focus", "touched: key w"]
    assert keeper.reasons() == ["focus", "touched: key w"]
    keeper.resume()
    assert keeper.reasons() == []
    keeper.hold(JUMP, LEASE)
    assert pad.states == [AHEAD, NEUTRAL, NEUTRAL, JUMP]


def test_a_release_ends_the_lease_without_a_reason(keeper, pad, clock):
    keeper.hold(AHEAD, LEASE)
    keeper.release()
    clock.now += 1.0
    assert keeper.tick() is None
    assert pad.states == [AHEAD, NEUTRAL]
    assert keeper.reasons() == []


def test_a_driver_that_wants_to_be_called_is_called_in_time(clock):
    keeper = PadKeeper(RecordingPad(due=0.0125), clock)
    assert keeper.tick() is None
    keeper.hold(AHEAD, LEASE)
    assert keeper.tick() == 0.0125


class Moody:
    """A guard that objects to whatever `mood` is; counts how often it was asked to forget."""

    def __init__(self):
        self.mood: str | Exception | None = None
        self.resumes, self.closed = 0, False

    def look(self):
        assert not self.closed
        if isinstance(self.mood, Exception):
            raise self.mood
        return self.mood

    def resume(self):
        self.resumes += 1

    def close(self):
        self.closed = True


def test_a_patrol_tells_an_objection_once_and_again_after_each_resume():
    told = []
    guard = Moody()
    patrol = Patrol([guard], 0.001, lambda reason, resumes: told.append((reason, resumes)))
    guard.mood = "focus"
    until(lambda: told == [("focus", 0)])
    time.sleep(0.05)
    patrol.resume()
    assert guard.resumes == 1
    assert told == [("focus", 0), ("focus", 1)]
    guard.mood = OSError("no X server")
    until(lambda: len(told) == 3)
    assert told[2] == ("blind: Moody failed (no X server)", 1)
    assert not patrol.blind
    patrol.close()
    assert guard.closed


# From here on with real processes.


def until(condition, patience=20.0):
    """Wait for something to come true."""
    end = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)
    return value


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def objection(tmp_path):
    return tmp_path / "objection"


@pytest.fixture
def command(log, objection):
    return (sys.executable, str(FAKE), str(log), str(objection))


def held(log):
    """What the pad was told, one after the other."""
    return [line.split(maxsplit=1)[1] for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
def guarded(command):
    with GuardedPad(PadConfig(lease=LEASE, driver="none"), command=command) as guarded:
        yield guarded


def gone(pid):
    """Whether a process that may be our child has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split(") ")[1].startswith("Z")


def test_it_holds_what_it_is_told_and_lets_go_of_it_when_it_is_closed(guarded, log):
    assert guarded.hold(PadState(frozenset({"A", "START"}), lx=0.2)) is None
    assert guarded.hold(AHEAD) is None
    assert guarded.release() is None
    assert guarded.hold(JUMP) is None
    pid = guarded.pid
    guarded.close()
    guarded.close()
    assert held(log) == ["neutral", "A START 0.2", "1.0", "neutral", "A", "neutral"]
    assert gone(pid)
    with pytest.raises(PadLostError, match=r"closed; call restart\(\)"):
        guarded.hold(AHEAD)


def test_a_process_that_falls_silent_finds_the_pad_let_go(guarded, log):
    guarded.hold(AHEAD)
    until(lambda: held(log) == ["neutral", "1.0", "neutral"])
    assert guarded.hold(AHEAD) == "late"
    assert guarded.hold(AHEAD) is None


def test_an_objection_lets_go_until_resume(guarded, log, objection):
    guarded.hold(AHEAD)
    objection.write_text("touched: key w")
    reason = until(lambda: guarded.hold(AHEAD))
    assert reason == "touched: key w"
    assert guarded.hold(JUMP) == "touched: key w"
    assert held(log)[-1] == "neutral"
    guarded.resume()
    assert until(lambda: guarded.hold(NEUTRAL)) == "touched: key w"  # it is still down
    objection.unlink()
    guarded.resume()
    assert guarded.hold(JUMP) is None
    assert held(log)[-1] == "A"


def test_a_guard_that_hangs_makes_the_pad_unusable_instead_of_the_environment(guarded, log, objection):
    guarded.hold(AHEAD)
    objection.write_text("hang")
    assert until(lambda: guarded.hold(AHEAD)).startswith("blind: ")
    guarded.resume()
    assert guarded.hold(AHEAD).startswith("blind: ")
    assert held(log)[-1] == "neutral"


def client(command, then):
    """A process that pushes the stick and then does something."""
    return textwrap.dedent(f"""
        import os, signal, time
        from envs.window.guarded_pad import GuardedPad
        from envs.window.pad import PadConfig, PadState
        pad = GuardedPad(PadConfig(lease={LEASE}, driver="none"), command={command!r})
        pad.hold(PadState(ly=1.0))
        print(pad.pid, flush=True)
        {then}
    """)


@pytest.mark.parametrize(
    "then",
    [
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os._exit(0)",
        "raise SystemExit",
        "os.kill(os.getpid(), signal.SIGINT)",
        "os.fork() or time.sleep(8); os.kill(os.getpid(), signal.SIGKILL)",  # who is left keeps the pipe open
    ],
    ids=["killed", "left", "ended", "interrupted", "forked"],
)
def test_when_the_environment_ends_the_pad_is_let_go_and_the_watchdog_ends(command, log, run_python, then):
    done = run_python(client(command, then))
    until(lambda: held(log)[-1] == "neutral")
    until(lambda: gone(int(done.stdout)))
    assert "1.0" in held(log)


def test_an_environment_that_hangs_finds_the_pad_let_go(command, log, run_python):
    """Stopped for two seconds with the stick pushed, then woken by a friend."""
    then = "os.fork() or (time.sleep(2), os.kill(os.getppid(), signal.SIGCONT), os._exit(0)); " + (
        "os.kill(os.getpid(), signal.SIGSTOP); print(pad.hold(PadState())); pad.close()"
    )
    done = run_python(client(command, then))
    assert done.stdout.split()[1:] == ["late"]
    times = [float(line.split()[0]) for line in log.read_text().splitlines()]
    assert held(log)[:3] == ["neutral", "1.0", "neutral"]
    assert times[2] - times[1] < 1.0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["dead", "hung"])
def test_a_watchdog_that_is_dead_or_hangs_is_an_error_and_can_be_replaced(guarded, log, how):
    guarded.hold(AHEAD)
    before = guarded.pid
    os.kill(before, how)
    with pytest.raises(PadLostError, match=r"restart\(\) makes a new one"):
        until(lambda: guarded.hold(AHEAD))
    assert gone(before)
    with pytest.raises(PadLostError, match="closed"):
        guarded.hold(AHEAD)
    guarded.restart()
    assert guarded.hold(JUMP) is None
    assert held(log)[-2:] == ["neutral", "A"]


def test_a_pad_that_breaks_says_so_and_can_be_replaced(guarded):
    with pytest.raises(PadLostError, match="breaks when pushed to the left"):
        guarded.hold(PadState(lx=-1.0))
    guarded.restart()
    assert guarded.hold(AHEAD) is None


def test_a_terminated_watchdog_ends_in_order():
    with GuardedPad(PadConfig(driver="none", touch=())) as guarded:
        guarded.hold(AHEAD)
        assert guarded.pid is not None
        os.kill(guarded.pid, signal.SIGTERM)
        with pytest.raises(PadLostError, match="exit status 0"):
            until(lambda: guarded.hold(AHEAD))


def test_what_is_wrong_with_the_settings_or_the_machine_is_said_at_the_start(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":987")
    with pytest.raises(OptionError, match=r"pad\.keys is empty"):
        GuardedPad(PadConfig(driver="keyboard", touch=()))
    with pytest.raises(PadLostError, match="no X server answers on display :987"):
        GuardedPad(PadConfig(driver="none"))


def test_an_answer_comes_at_once(guarded):
    times = []
    for _ in range(200):
        before = time.perf_counter()
        guarded.hold(AHEAD)
        times.append(time.perf_counter() - before)
    print(f"\nround trip: p50 {1e3 * statistics.median(times):.3f} ms, worst {1e3 * max(times):.3f} ms")
    assert statistics.median(times) < 0.1  # only that it does not wait for something
