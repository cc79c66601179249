"""Keys in place of a pad: pulses worked by hand, and what a window of a real X server hears of them."""

import itertools
import math
import os
import signal
import textwrap
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.errors import OptionError, PadLostError
from envs.window.guarded_pad import GuardedPad
from envs.window.pad import NEUTRAL, KeysConfig, PadConfig, PadState
from envs.window.pad_keyboard import KeyboardPad, Pulse, keys_down, open_display, shares_of_keys

FRAME = 1 / 60  # s
KEYS = {"A": "space", "START": "Return", "LX-": "a", "LX+": "d", "LY+": "w", "LY-": "s", "RX-": "Left", "RX+": "Right"}


def frames(pulse, start, count):
    """What a game that looks once a frame, in its middle, sees of a pulse's two keys."""
    seen = []
    for k in range(count):
        now = start + (k + 0.5) * FRAME
        while (due := pulse.due()) is not None and due <= now:
            pulse.advance(due)
        pulse.advance(now)
        seen.append(pulse.down)
    return seen


def test_a_fifth_is_one_frame_of_six_and_each_fifth_time_two():
    """0.2 * 6 = 1.2 frames in each tenth of a second: 1, 1.4, 1.6 rounds up to 2, 0.8, 1: six in five."""
    pulse = Pulse(FRAME, 0.0)
    pulse.push(0.2, 0.0)
    seen = np.reshape(frames(pulse, 0.0, 30), (5, 6))
    assert seen.sum(axis=1).tolist() == [1, 1, 2, 1, 1]
    assert seen[:, 0].tolist() == [1] * 5  # a pulse begins its period


def test_a_stick_pushed_all_the_way_is_a_key_held_down():
    pulse = Pulse(FRAME, 0.0)
    pulse.push(-1.0, 0.0)
    assert pulse.due() is None
    assert frames(pulse, 0.0, 20) == [-1] * 20
    pulse.push(0.0, 1 / 3)
    assert pulse.due() is None
    assert frames(pulse, 1 / 3, 20) == [0] * 20


@given(st.floats(-1, 1), st.lists(st.floats(-0.01, 0.01), min_size=20, max_size=20))
def test_the_share_is_right_in_the_long_run_however_the_clock_jitters(share, jitter):
    """Rounding never leaves more than half a frame open, late sleepers no more than they were late."""
    pulse = Pulse(FRAME, 0.0)
    pulse.push(share, 0.0)
    down, now = 0.0, 0.0
    for late in itertools.cycle(jitter):
        until = pulse.due()
        then = 3.0 if until is None else min(3.0, max(now, until + abs(late)))
        down += pulse.down * (then - now)
        now = then
        if now >= 3.0:
            break
        pulse.advance(now)
    # At any time, inside a period, what is owed is at most that period's share more than half a frame and a lateness.
    assert abs(down - 3.0 * share) <= FRAME / 2 + 0.02 + 0.1 * abs(share) * (1 - abs(share)) + 1e-9


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30))
def test_what_many_short_pushes_add_up_to_is_what_was_meant(shares):
    pulse, down = Pulse(FRAME, 0.0), 0.0
    for step, share in enumerate(shares):
        pulse.push(share, step / 10)
        seen = frames(pulse, step / 10, 6)
        assert all(value * share >= 0 for value in seen)  # never the other way
        down += sum(seen)
    assert abs(down - 6 * sum(shares)) <= 1.0 + 1e-6


# From here on with a real X server.


@pytest.fixture
def display(xvfb):
    display = open_display(xvfb)
    yield display
    display.close()


@pytest.fixture
def window(display):
    """A window that has the focus, and hears keys that do not repeat by themselves."""
    from Xlib import X

    display.change_keyboard_control(auto_repeat_mode=X.AutoRepeatModeOff)
    root = display.screen().root
    window = root.create_window(10, 10, 100, 100, 0, X.CopyFromParent, event_mask=X.KeyPressMask | X.KeyReleaseMask)
    window.map()
    display.sync()
    window.set_input_focus(X.RevertToParent, X.CurrentTime)
    display.sync()
    yield window
    window.destroy()
    display.sync()


@pytest.fixture
def open_keys(xvfb):
    opened = []

    def make(names=KEYS, **settings):
        opened.append(KeyboardPad(KeysConfig(names=names, **settings), xvfb))
        return opened[-1]

    yield make
    for pad in opened:
        pad.close()


def code(display, name):
    from Xlib import XK

    return display.keysym_to_keycode(XK.string_to_keysym(name))


def codes(display, *names):
    return {code(display, name) for name in names}


def heard(display):
    """What the window was told: +key and -key."""
    from Xlib import X

    names = {code(display, name): name for name in KEYS.values()}
    display.sync()
    events = [display.next_event() for _ in range(display.pending_events())]
    return [{X.KeyPress: "+", X.KeyRelease: "-"}[e.type] + names[e.detail] for e in events if e.type in (2, 3)]


def until(condition, patience=20.0):
    """Wait for something to come true."""
    end = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.002)
    return value


def test_a_window_hears_what_changes_and_no_more(display, window, open_keys):
    pad = open_keys()
    pad.apply(PadState(frozenset({"A"}), ly=1.0))
    assert sorted(heard(display)) == ["+space", "+w"]
    pad.apply(PadState(frozenset({"A"}), ly=1.0))
    pad.tick()
    assert heard(display) == []
    pad.apply(PadState(frozenset({"A", "START", "B"}), ly=-1.0))  # no key stands for B
    assert sorted(heard(display)) == ["+Return", "+s", "-w"]
    assert pad.keycodes == codes(display, "space", "Return", "s")
    pad.apply(NEUTRAL)
    assert sorted(heard(display)) == ["-Return", "-s", "-space"]


def test_two_names_of_one_key_hold_it_together(display, window, open_keys):
    pad = open_keys({"UP": "w", "LY+": "w"})
    pad.apply(PadState(frozenset({"UP"}), ly=1.0))
    pad.apply(PadState(frozenset({"UP"})))
    assert heard(display) == ["+w"]
    pad.apply(NEUTRAL)
    assert heard(display) == ["-w"]


def test_a_closed_keyboard_has_released_everything(display, open_keys):
    pad = open_keys()
    pad.apply(PadState(frozenset({"A"}), lx=-1.0))
    assert keys_down(display) == codes(display, "space", "a")
    pad.close()
    pad.close()
    assert keys_down(display) == set()


def test_keys_that_a_killed_predecessor_left_down_are_released_and_a_persons_are_not(display, open_keys):
    first = open_keys()
    first.apply(PadState(frozenset({"A"}), lx=-1.0))
    display.xtest_fake_input(2, code(display, "k"))
    display.sync()
    open_keys()
    assert keys_down(display) == codes(display, "k")
    display.xtest_fake_input(3, code(display, "k"))
    display.sync()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"A": "spcae"}, "X knows no key 'spcae'"),
        ({"A": "W"}, "no key of this keyboard gives 'W' .for A. without Shift"),
        ({}, r"pad\.keys is empty"),
    ],
)
def test_keys_that_cannot_be_say_so(open_keys, names, message):
    with pytest.raises(OptionError, match=message):
        open_keys(names)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # python-xlib leaves its socket open
def test_a_missing_server_says_so():
    with pytest.raises(PadLostError, match="no X server answers on display :987"):
        KeyboardPad(KeysConfig(names=KEYS), ":987")


# And with the process that owns it.


@pytest.fixture
def guarded(xvfb, monkeypatch):
    monkeypatch.setenv("DISPLAY", xvfb)
    with GuardedPad(PadConfig(driver="keyboard", keys=KeysConfig(names=KEYS), touch=())) as guarded:
        yield guarded


@pytest.mark.parametrize(("push", "response", "share"), [(0.2, 1.0, 0.2), (-0.6, 1.0, 0.6), (0.4, 1.5, 0.253)])
def test_a_half_pushed_stick_is_a_key_held_for_that_share_of_the_time(
    xvfb, monkeypatch, display, window, push, response, share
):
    """0.4 ** 1.5 = 0.253. Twenty steps are 120 frames: half of one open at the end is 0.4 in a hundred."""
    monkeypatch.setenv("DISPLAY", xvfb)
    keys = KeysConfig(names=KEYS, right_response=response)
    with GuardedPad(PadConfig(driver="keyboard", keys=keys, touch=(), lease=2.0)) as pad:
        start = time.monotonic()
        for step in range(20):
            pad.hold(PadState(rx=push))
            time.sleep(max(0.0, start + (step + 1) / 10 - time.monotonic()))
        pad.hold(NEUTRAL)
        end = time.monotonic()
    from Xlib import X

    display.sync()
    events = [display.next_event() for _ in range(display.pending_events())]
    events = [e for e in events if e.type in (X.KeyPress, X.KeyRelease)]
    assert {e.detail for e in events} == codes(display, "Right" if push > 0 else "Left")
    presses, releases = events[::2], events[1::2]
    assert all(e.type == X.KeyPress for e in presses)
    down = sum(r.time - p.time for p, r in zip(presses, releases, strict=True)) / 1000
    print(f"\n{push}: {down / (end - start):.3f} of the time, in {len(presses)} pulses")
    assert down / (end - start) == pytest.approx(share, abs=0.02)


def test_a_key_is_up_soon_after_the_environment_was_killed(xvfb, display, run_python):
    code = textwrap.dedent(f"""
        import os, signal
        from envs.window.guarded_pad import GuardedPad
        from envs.window.pad import KeysConfig, PadConfig, PadState
        pad = GuardedPad(PadConfig(driver="keyboard", keys=KeysConfig(names={KEYS!r}), touch=()))
        pad.hold(PadState(ly=1.0))
        print(8 * "=", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = run_python(code, DISPLAY=xvfb)
    assert done.stdout.strip() == 8 * "="
    until(lambda: not keys_down(display))


def test_a_key_is_down_after_the_watchdog_was_killed_and_up_after_the_restart(display, guarded):
    guarded.hold(PadState(ly=1.0))
    assert keys_down(display) == codes(display, "w")
    os.kill(guarded.pid, signal.SIGKILL)
    with pytest.raises(PadLostError):
        until(lambda: guarded.hold(PadState(ly=1.0)))
    guarded.restart()
    assert keys_down(display) == set()
    guarded.hold(PadState(ly=1.0))
    assert keys_down(display) == codes(display, "w")


@given(x=st.floats(-1, 1), y=st.floats(-1, 1))
def test_two_keys_move_one_where_the_stick_would_in_a_game_that_is_as_fast_across_as_along(x: float, y: float):
    across, along = shares_of_keys(x, y)
    assert abs(across) <= 1
    assert abs(along) <= 1
    both = min(abs(across), abs(along))  # of the time; then each key counts for its part of a diagonal
    moved = [(abs(share) - both) + both * math.sqrt(0.5) for share in (across, along)]
    wanted = [abs(value) / max(1.0, math.hypot(x, y)) for value in (x, y)]
    assert math.hypot(*moved) == pytest.approx(math.hypot(*wanted), abs=0.09)  # a key cannot be held longer than always
    assert math.hypot(*wanted) < 1e-6 or abs(math.atan2(*moved) - math.atan2(*wanted)) < math.radians(3)
    assert (math.copysign(1, across), math.copysign(1, along)) == (math.copysign(1, x), math.copysign(1, y))


def test_a_stick_that_is_pushed_a_fifth_aside_holds_the_key_aside_for_longer():
    assert shares_of_keys(0.2, 0.6) == pytest.approx(
        (0.2 / math.sqrt(0.5), 0.6 + (1 - math.sqrt(0.5)) * 0.2 * math.sqrt(2))
    )
    assert shares_of_keys(0.0, 1.0) == (0.0, 1.0)
    assert shares_of_keys(-1.0, 1.0) == pytest.approx((-1.0, 1.0))
