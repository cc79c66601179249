"""A real virtual pad, read back from the kernel: wherever /dev/uinput can be written."""

import os
import signal
import statistics
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from envs.errors import PadLostError
from envs.window.guarded_pad import GuardedPad
from envs.window.pad import NEUTRAL, PadConfig, PadState, SticksConfig
from envs.window.pad_gamepad import GamepadPad
from envs.window.pad_keyboard import open_display
from envs.window.readback import read_back
from envs.window.touch import PadsTouch

pytestmark = pytest.mark.skipif(
    not os.access("/dev/uinput", os.W_OK), reason="/dev/uinput cannot be written here; see test_guest.py"
)

ROOT = Path(__file__).parents[3]
GUARDED = Path(__file__).parent / "guarded_uinput.py"
EVENT = struct.Struct("llHHi")  # struct input_event
REPORT, KEY, ABS = 0, 1, 3
FULL = 32767
KEYS = {  # as the kernel's own driver of this pad, xpad, has them
    "A": 0x130, "B": 0x131, "X": 0x133, "Y": 0x134, "LB": 0x136, "RB": 0x137, "BACK": 0x13A, "START": 0x13B,
    "LS": 0x13D, "RS": 0x13E,
}  # fmt: skip
GUIDE = 0x13C
LX, LY, LT, RX, RY, RT, HAT_X, HAT_Y = 0, 1, 2, 3, 4, 5, 16, 17


class Reader:
    """What a program that reads the pad knows of it: the state after each event, down positive as the kernel has it."""

    def __init__(self, node):
        until(lambda: os.access(node, os.R_OK))
        self._fd = os.open(node, os.O_RDONLY | os.O_NONBLOCK)
        self.state, self.log = {}, []

    def read(self):
        """Take in what has come; False where the device is gone."""
        try:
            while data := os.read(self._fd, 64 * EVENT.size):
                for seconds, micros, kind, code, value in EVENT.iter_unpack(data):
                    if kind in (KEY, ABS):
                        self.state[kind, code] = value
                        self.log.append((seconds + micros / 1e6, kind, code, value))
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True

    @property
    def held(self):
        """All that is not at rest; a vertical axis rests at -1, as that of the kernel's own driver."""
        self.read()
        return {key: value for key, value in self.state.items() if value not in (0, -1)} | {
            key: value for key, value in self.state.items() if value == -1 and key[1] in (HAT_X, HAT_Y)
        }

    def close(self):
        os.close(self._fd)


def until(condition, patience=30.0):
    """Wait for something to come true."""
    end = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.002)
    return value


@pytest.fixture
def plugged():
    """Plug pads in and read them; unplugged in the end."""
    opened = []

    def plug(**settings):
        pad = GamepadPad(PadConfig(**settings))
        reader = Reader(pad.devices[0])
        opened.extend([pad, reader])
        return pad, reader

    yield plug
    for thing in opened:
        thing.close()


def test_every_button_is_heard_and_nothing_else(plugged):
    pad, reader = plugged()
    for name, code in KEYS.items():
        if name not in ("LS", "RS"):
            pad.apply(PadState(frozenset({name})))
            assert reader.held == {(KEY, code): 1}, name
    for name, axis in (("LT", LT), ("RT", RT)):
        pad.apply(PadState(frozenset({name})))
        assert reader.held == {(ABS, axis): 255}, name
    for name, axis, value in (("UP", HAT_Y, -1), ("DOWN", HAT_Y, 1), ("LEFT", HAT_X, -1), ("RIGHT", HAT_X, 1)):
        pad.apply(PadState(frozenset({name})))
        assert reader.held == {(ABS, axis): value}, name
    pad.apply(NEUTRAL)
    assert reader.held == {}
    assert not any(code == GUIDE for _, _, code, _ in reader.log)


def test_sticks_go_where_they_are_pushed_and_up_is_up(plugged):
    """The kernel counts down as positive; vgamepad turns it, by a complement: 32767 up is -32768."""
    pad, reader = plugged()
    pad.apply(PadState(lx=1.0, ly=1.0, rx=-1.0, ry=-1.0))
    assert reader.held == {(ABS, LX): FULL, (ABS, LY): -FULL - 1, (ABS, RX): -FULL, (ABS, RY): FULL - 1}
    pad.apply(PadState(lx=-0.2, ry=0.4))
    assert reader.held == {(ABS, LX): round(-0.2 * FULL), (ABS, RY): ~round(0.4 * FULL)}


def test_dead_zones_buttons_and_triggers_are_the_games(plugged):
    sticks = SticksConfig(left_dead_zone=0.25, right_dead_zone=0.5, invert_y=True)
    pad, reader = plugged(sticks=sticks, buttons={"A": "B", "X": "RT", "LT": "LS"}, trigger=0.5)
    pad.apply(PadState(lx=0.2, ry=0.2))
    assert reader.held == {(ABS, LX): round(0.4 * FULL), (ABS, RY): ~round(-0.6 * FULL)}
    pad.apply(PadState(frozenset({"A", "X", "LT"})))
    assert reader.held == {(KEY, KEYS["B"]): 1, (ABS, RT): 128, (KEY, KEYS["LS"]): 1}


def test_a_closed_pad_is_unplugged_and_was_at_rest(plugged):
    pad, reader = plugged()
    node = Path(pad.devices[0])
    pad.apply(PadState(frozenset({"A"}), lx=1.0))
    assert len(reader.held) == 2
    pad.close()
    pad.close()
    assert not node.exists()
    assert not reader.read()


@pytest.mark.parametrize("button", ["LB", "RT", "UP"])
def test_the_doctor_reads_a_press_back_and_no_stick(plugged, button):
    pad, _ = plugged()
    ears = read_back(PadConfig(), pad.devices)
    assert not isinstance(ears, str), ears
    assert not ears.held()
    pad.apply(PadState(lx=1.0, ly=1.0, rx=-1.0, ry=-1.0))
    assert not ears.held()
    pad.apply(PadState(frozenset({button})))
    until(ears.held)
    pad.apply(NEUTRAL)
    until(lambda: not ears.held())
    ears.close()


@pytest.fixture
def guarded():
    with GuardedPad(PadConfig(touch=("pads",))) as guarded:
        yield guarded


def test_a_watchdog_that_is_killed_takes_the_pad_with_it(guarded):
    node = Path(guarded.devices[0])
    reader = Reader(node)
    guarded.hold(PadState(ly=1.0))
    until(lambda: reader.held)
    os.kill(guarded.pid, signal.SIGKILL)
    until(lambda: not node.exists())
    assert not reader.read()
    reader.close()
    with pytest.raises(PadLostError):
        guarded.hold(PadState(ly=1.0))
    guarded.restart()
    reader = Reader(guarded.devices[0])
    guarded.hold(PadState(ly=1.0))
    assert until(lambda: reader.held) == {(ABS, LY): -FULL - 1}
    reader.close()


def test_another_pad_in_somebodys_hands_is_seen_and_ours_is_not(plugged):
    ours, _ = plugged()
    theirs, _ = plugged()
    watch = PadsTouch(ours.devices, virtual=True)
    ours.apply(PadState(frozenset({"A"}), lx=1.0))
    theirs.apply(PadState(lx=0.1))  # an idle stick drifts
    assert watch.look() is None
    theirs.apply(PadState(lx=0.9))
    assert watch.look() == "touched: Microsoft X-Box 360 pad"
    watch.resume()
    assert watch.look() is None
    theirs.apply(PadState(frozenset({"Y"})))
    assert watch.look() == "touched: Microsoft X-Box 360 pad"
    watch.close()


def test_other_agents_pads_are_nobodys_hands(plugged):
    theirs, _ = plugged()
    watch = PadsTouch(())
    theirs.apply(PadState(frozenset({"A"})))
    assert watch.look() is None
    watch.close()


AGENT = textwrap.dedent("""
    import sys, time
    from envs.window.guarded_pad import GuardedPad
    from envs.window.pad import PadConfig, PadState
    pad = GuardedPad(PadConfig(touch=()), command=sys.argv[1:])
    state = PadState(frozenset({"A", "RT"}), ly=1.0, rx=-0.6)
    print(pad.devices[0], flush=True)
    input()  # whoever opens a device hears of changes from then on
    while True:
        print(pad.hold(state), file=sys.stderr, flush=True)
        time.sleep(0.1)
""")


@pytest.fixture
def agent(tmp_path):
    """A process that pushes the sticks ten times a second, a reader of its pad, and a file to spoil its focus with."""
    spoiler = tmp_path / "unfocused"
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", AGENT, sys.executable, str(GUARDED), str(spoiler)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    reader = Reader(process.stdout.readline().strip())
    process.stdin.write("go\n")
    process.stdin.flush()
    yield process, reader, spoiler
    reader.close()
    process.kill()
    process.communicate()


def neutral_after(reader, since):
    """The seconds from a time (of the wall clock, as the kernel stamps events) until all was at rest.

    A device that is unplugged is at rest too, and takes with it the last events that nobody has read yet.
    """
    until(lambda: not reader.held or not reader.read())
    return (time.time() if reader.held else reader.log[-1][0]) - since


def pushed(reader):
    return len(reader.held) == 4


def test_an_answer_comes_at_once(guarded):
    times = []
    for _ in range(100):
        before = time.perf_counter()
        guarded.hold(PadState(ly=1.0))
        times.append(time.perf_counter() - before)
    print(f"\nround trip: p50 {1e3 * statistics.median(times):.2f} ms, worst {1e3 * max(times):.2f} ms")
    assert max(times) < 0.5


def test_a_killed_environment_leaves_the_pad_at_rest_within_half_a_second(agent):
    process, reader, _ = agent
    until(lambda: pushed(reader))
    since = time.time()
    process.kill()
    took = neutral_after(reader, since)
    print(f"\nSIGKILL to neutral: {1e3 * took:.1f} ms")
    assert took < 0.5


def test_a_hung_environment_leaves_the_pad_at_rest_within_half_a_second(agent):
    process, reader, _ = agent
    until(lambda: pushed(reader))
    since = time.time()
    process.send_signal(signal.SIGSTOP)
    took = neutral_after(reader, since)
    print(f"\nSIGSTOP to neutral: {1e3 * took:.1f} ms")
    assert took < 0.5
    process.send_signal(signal.SIGCONT)
    until(lambda: pushed(reader))
    while "late" not in (line := process.stderr.readline()):
        assert line == "None\n"


def test_lost_focus_leaves_the_pad_at_rest_within_half_a_second(agent):
    process, reader, spoiler = agent
    until(lambda: pushed(reader))
    since = time.time()
    spoiler.touch()
    took = neutral_after(reader, since)
    print(f"\nlost focus to neutral: {1e3 * took:.1f} ms")
    assert took < 0.5
    while "focus" not in (line := process.stderr.readline()):
        assert line == "None\n"
    time.sleep(0.3)
    assert reader.held == {}  # though it is told to push


def test_a_window_that_loses_the_focus_leaves_the_pad_at_rest_within_half_a_second(xvfb, monkeypatch):
    from Xlib import X

    monkeypatch.setenv("DISPLAY", xvfb)
    display = open_display(xvfb)
    root = display.screen().root
    game, other = (root.create_window(200 * k, 0, 150, 150, 0, X.CopyFromParent) for k in range(2))
    for window in (other, game):
        window.map()
        display.sync()
        window.set_input_focus(X.RevertToParent, X.CurrentTime)
        display.sync()
    with GuardedPad(PadConfig(lease=5.0), game.id) as pad:
        reader = Reader(pad.devices[0])
        assert pad.hold(PadState(frozenset({"B"}), ly=1.0)) is None
        until(lambda: len(reader.held) == 2)
        since = time.time()
        other.set_input_focus(X.RevertToParent, X.CurrentTime)
        display.sync()
        took = neutral_after(reader, since)
        print(f"\nlost focus of a real window to neutral: {1e3 * took:.1f} ms")
        assert took < 0.5
        assert pad.hold(PadState(ly=1.0)) == "focus"
        reader.close()
    display.close()
