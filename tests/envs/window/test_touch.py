"""A person's touch and a lost focus are seen, and what the agent does itself is not."""

import os
import sys
import time

import pytest

from envs.window.focus import FocusGuard, x11_focused
from envs.window.guarded_pad import GuardedPad
from envs.window.pad import KeysConfig, NullPad, PadConfig, PadState
from envs.window.pad_keyboard import KeyboardPad, open_display
from envs.window.touch import (
    EVENT,
    KeysTouch,
    PadsTouch,
    PointerTouch,
    WindowsTouch,
    gamepads,
    last_input,
    touch_guards,
)

PRESS, RELEASE, BUTTON_PRESS, BUTTON_RELEASE = 2, 3, 4, 5
KEYS = KeysConfig(names={"LY+": "w", "A": "space"})


def until(condition, patience=20.0):
    """Wait for something to come true."""
    end = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.002)
    return value


class Person:
    """Somebody at the keyboard and the mouse."""

    def __init__(self, display):
        self.display = display
        self._down: set[int] = set()

    def do(self, event, detail):
        if event in (PRESS, RELEASE):
            (self._down.add if event == PRESS else self._down.discard)(detail)
        self.display.xtest_fake_input(event, detail)
        self.display.sync()

    def key(self, name, event=PRESS):
        from Xlib import XK

        self.do(event, self.display.keysym_to_keycode(XK.string_to_keysym(name)))

    def leave(self):
        for key in [*self._down]:
            self.do(RELEASE, key)

    def move(self, x, y):
        self.display.screen().root.warp_pointer(x, y)
        self.display.sync()


@pytest.fixture
def person(xvfb):
    display = open_display(xvfb)
    person = Person(display)
    yield person
    person.leave()
    display.close()


@pytest.fixture
def keys(xvfb):
    """A guard of the keys, and the agent's keyboard."""
    pad = KeyboardPad(KEYS, xvfb)
    guard = KeysTouch(open_display(xvfb), lambda: pad.keycodes)
    yield guard, pad
    guard.close()
    pad.close()


def test_keys_of_the_agent_are_nobodys_touch(keys):
    guard, pad = keys
    for state in (PadState(), PadState(frozenset({"A"}), ly=1.0), PadState(ly=1.0)):
        pad.apply(state)
        assert guard.look() is None


@pytest.mark.parametrize(("key", "name"), [("k", "k"), ("Escape", "Escape"), ("Shift_L", "Shift_L")])
def test_a_key_of_a_person_is_seen_by_its_name(keys, person, key, name):
    guard, pad = keys
    pad.apply(PadState(ly=1.0))
    person.key(key)
    assert guard.look() == f"touched: key {name}"
    guard.resume()
    assert guard.look() == f"touched: key {name}"  # it is still down
    person.key(key, RELEASE)
    assert guard.look() is None


def test_a_server_that_dies_takes_the_pad_from_the_agent(xvfb_server, monkeypatch):
    name, server = xvfb_server()
    monkeypatch.setenv("DISPLAY", name)
    with GuardedPad(PadConfig(driver="none", touch=("keys",))) as pad:
        assert pad.hold(PadState(ly=1.0)) is None
        server.kill()
        server.wait()
        assert until(lambda: pad.hold(PadState(ly=1.0))).startswith("blind: KeysTouch failed")


def test_the_mouse_is_seen_when_it_moves_or_clicks(xvfb, person):
    person.move(300, 300)
    guard = PointerTouch(open_display(xvfb))
    assert guard.look() is None
    assert guard.look() is None
    person.move(301, 300)
    assert guard.look() == "touched: mouse moved"
    guard.resume()
    assert guard.look() is None
    person.do(BUTTON_PRESS, 1)
    assert guard.look() == "touched: mouse button"
    person.do(BUTTON_RELEASE, 1)
    guard.resume()
    assert guard.look() is None
    guard.close()


def test_a_persons_key_takes_the_pad_from_the_agent_until_it_is_given_back(xvfb, monkeypatch, person):
    monkeypatch.setenv("DISPLAY", xvfb)
    with GuardedPad(PadConfig(driver="keyboard", keys=KEYS)) as pad:
        assert pad.hold(PadState(ly=1.0)) is None
        person.key("k")
        assert until(lambda: pad.hold(PadState(ly=1.0))) == "touched: key k"
        person.key("k", RELEASE)
        assert pad.hold(PadState(ly=1.0)) == "touched: key k"
        pad.resume()
        for _ in range(20):
            assert pad.hold(PadState(ly=1.0)) is None
            time.sleep(0.01)


@pytest.fixture
def windows(person):
    """Two windows, the first of which has a window inside."""
    from Xlib import X

    display = person.display
    root = display.screen().root
    windows = [root.create_window(200 * k, 0, 150, 150, 0, X.CopyFromParent) for k in range(2)]
    windows.append(windows[0].create_window(10, 10, 50, 50, 0, X.CopyFromParent))
    for window in windows:
        window.map()
    display.sync()
    yield windows
    for window in windows[:2]:
        window.destroy()
    display.sync()


def test_a_window_is_focused_where_keys_go_to_it_or_to_one_inside(person, windows):
    from Xlib import X

    display = person.display
    game, other, inside = windows

    def focus(window):
        display.set_input_focus(window, X.RevertToParent, X.CurrentTime)
        display.sync()
        return x11_focused(display, game.id), x11_focused(display, other.id)

    assert focus(game) == (True, False)
    assert focus(inside) == (True, False)
    assert focus(other) == (False, True)
    assert focus(X.NONE) == (False, False)
    person.move(60, 60)
    assert focus(X.PointerRoot) == (True, False)  # without a window manager: whatever lies below
    person.move(260, 60)
    assert focus(X.PointerRoot) == (False, True)


def test_a_window_that_loses_the_focus_or_is_gone_takes_the_pad_from_the_agent(xvfb, monkeypatch, person, windows):
    from Xlib import X

    monkeypatch.setenv("DISPLAY", xvfb)
    game, other, _ = windows

    def focus(window):
        person.display.set_input_focus(window, X.RevertToParent, X.CurrentTime)
        person.display.sync()

    focus(game)
    with GuardedPad(PadConfig(driver="keyboard", keys=KEYS, touch=()), game.id) as pad:
        assert pad.hold(PadState(ly=1.0)) is None
        focus(other)
        assert until(lambda: pad.hold(PadState(ly=1.0))) == "focus"
        focus(game)
        assert pad.hold(PadState(ly=1.0)) == "focus"
        pad.resume()
        assert pad.hold(PadState(ly=1.0)) is None
        game.destroy()
        person.display.sync()
        assert until(lambda: pad.hold(PadState(ly=1.0))) == "focus"


def test_a_focus_guard_asks_whom_it_was_given():
    focused, closed = [True], []
    guard = FocusGuard(lambda: focused[0], lambda: closed.append(True))
    assert guard.look() is None
    focused[0] = False
    assert guard.look() == "focus"
    guard.resume()
    assert guard.look() == "focus"
    guard.close()
    assert closed == [True]


def plug(root, node, name, keys, where="pci0000/usb1"):
    """A device in a file system of our own, as the kernel shows it; a pipe in place of its node."""
    device = root / "sys/devices" / where / "input" / node
    (device / "device/capabilities").mkdir(parents=True)
    (device / "device/capabilities/key").write_text(f"{keys}\n")
    (device / "device/name").write_text(f"{name}\n")
    (root / "sys/class/input").mkdir(parents=True, exist_ok=True)
    (root / "sys/class/input" / node).symlink_to(device)
    (root / "dev/input").mkdir(parents=True, exist_ok=True)
    os.mkfifo(root / "dev/input" / node)
    return root / "dev/input" / node


PAD_KEYS = "7cdb000000000000 0 0 0 0"  # bit 0x130 and on, as xpad shows them
MOUSE_KEYS = "70000 0 0 0 0"  # bit 0x110 and on


def test_gamepads_are_told_from_other_devices_and_from_those_that_programs_make(tmp_path):
    plug(tmp_path, "event3", "A mouse", MOUSE_KEYS)
    pad = plug(tmp_path, "event4", "A pad", PAD_KEYS)
    radio = plug(tmp_path, "event5", "A wireless pad", PAD_KEYS, "virtual/misc/uhid/0005:045E")
    made = plug(tmp_path, "event6", "A program's pad", PAD_KEYS, "virtual")
    plug(tmp_path, "event7", "Buttons of a case", "0")
    assert list(gamepads(tmp_path, False)) == [(pad, "A pad"), (radio, "A wireless pad")]
    assert list(gamepads(tmp_path, True))[2:] == [(made, "A program's pad")]


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/input is Linux's")
def test_a_button_of_another_pad_is_a_touch_and_ours_is_not(tmp_path):
    ours = plug(tmp_path, "event4", "Our pad", PAD_KEYS)
    theirs = plug(tmp_path, "event5", "Their pad", PAD_KEYS)
    pipes = {node: os.open(node, os.O_RDWR) for node in (ours, theirs)}
    watch = PadsTouch([str(ours)], root=tmp_path)

    def press(node):
        os.write(pipes[node], EVENT.pack(0, 0, 1, 0x130, 1) + EVENT.pack(0, 0, 0, 0, 0))

    assert watch.look() is None
    press(ours)
    assert watch.look() is None
    press(theirs)
    assert watch.look() == "touched: Their pad"
    assert watch.look() is None
    watch.resume()
    os.close(pipes[theirs])
    watch.close()
    os.close(pipes[ours])


class User32:
    """GetLastInputInfo as documented: cbSize must be set; returns nonzero where it succeeds."""

    def __init__(self):
        self.tick, self.fails = 4_294_967_295, False

    def GetLastInputInfo(self, reference):
        info = reference._obj
        assert info.size == 8
        info.time = self.tick
        return 0 if self.fails else 1


def test_windows_tells_when_it_was_last_touched():
    user32 = User32()
    guard = WindowsTouch(lambda: last_input(user32))
    assert guard.look() is None
    user32.tick = 5  # it wraps
    assert guard.look() == "touched: keyboard or mouse"
    guard.resume()
    assert guard.look() is None
    guard.close()
    user32.fails = True
    with pytest.raises(OSError, match="GetLastInputInfo"):
        guard.look()


def test_touch_is_watched_as_far_as_it_is_asked_for_and_there_is_something(xvfb, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    assert list(touch_guards(("keys", "pointer"), NullPad())) == []
    assert list(touch_guards((), NullPad())) == []
    monkeypatch.setenv("DISPLAY", xvfb)
    guards = list(touch_guards(("keys", "pointer", "pads"), NullPad()))
    assert [type(guard) for guard in guards] == [KeysTouch, PointerTouch, PadsTouch]
    for guard in guards:
        guard.close()
