"""What is sent to a virtual pad, and what is said where there can be none; a real one is in test_uinput.py."""

import builtins
import sys
from enum import IntFlag
from types import ModuleType

import pytest

from envs.errors import MissingPackageError, PadLostError
from envs.window import pad_gamepad
from envs.window.pad import NEUTRAL, PadConfig, PadState, SticksConfig, open_driver
from envs.window.pad_gamepad import GamepadPad


class Button(IntFlag):
    """vgamepad.XUSB_BUTTON."""

    XUSB_GAMEPAD_DPAD_UP = 0x0001
    XUSB_GAMEPAD_DPAD_DOWN = 0x0002
    XUSB_GAMEPAD_DPAD_LEFT = 0x0004
    XUSB_GAMEPAD_DPAD_RIGHT = 0x0008
    XUSB_GAMEPAD_START = 0x0010
    XUSB_GAMEPAD_BACK = 0x0020
    XUSB_GAMEPAD_LEFT_THUMB = 0x0040
    XUSB_GAMEPAD_RIGHT_THUMB = 0x0080
    XUSB_GAMEPAD_LEFT_SHOULDER = 0x0100
    XUSB_GAMEPAD_RIGHT_SHOULDER = 0x0200
    XUSB_GAMEPAD_GUIDE = 0x0400
    XUSB_GAMEPAD_A = 0x1000
    XUSB_GAMEPAD_B = 0x2000
    XUSB_GAMEPAD_X = 0x4000
    XUSB_GAMEPAD_Y = 0x8000


class Pad360:
    """vgamepad.VX360Gamepad as documented: a report that is sent by `update` and by nothing else."""

    def __init__(self):
        self.sent, self.report = [], {}
        self.reset()

    def reset(self):
        self.report = {"buttons": set(), "lt": 0, "rt": 0, "left": (0.0, 0.0), "right": (0.0, 0.0)}

    def press_button(self, button):
        assert isinstance(button, Button)
        self.report["buttons"].add(str(button.name).removeprefix("XUSB_GAMEPAD_"))

    def left_trigger(self, value):
        assert isinstance(value, int)
        assert 0 <= value <= 255
        self.report["lt"] = value

    def right_trigger(self, value):
        assert isinstance(value, int)
        assert 0 <= value <= 255
        self.report["rt"] = value

    def left_joystick_float(self, x_value_float, y_value_float):
        assert max(abs(x_value_float), abs(y_value_float)) <= 1.0
        self.report["left"] = (x_value_float, y_value_float)

    def right_joystick_float(self, x_value_float, y_value_float):
        assert max(abs(x_value_float), abs(y_value_float)) <= 1.0
        self.report["right"] = (x_value_float, y_value_float)

    def update(self):
        self.sent.append(self.report)


class Vgamepad(ModuleType):
    XUSB_BUTTON = Button

    def __init__(self, fails=None):
        super().__init__("vgamepad")
        self.pads, self.fails = [], fails

    def VX360Gamepad(self):
        if self.fails:
            raise self.fails
        self.pads.append(Pad360())
        return self.pads[-1]


@pytest.fixture
def uinput(tmp_path, monkeypatch):
    """A file that can be written, in place of /dev/uinput."""
    monkeypatch.setattr(pad_gamepad, "UINPUT", tmp_path / "uinput")
    (tmp_path / "uinput").touch()
    return tmp_path / "uinput"


@pytest.fixture
def vgamepad(uinput, monkeypatch):
    module = Vgamepad()
    monkeypatch.setitem(sys.modules, "vgamepad", module)
    return module


REST = {"buttons": set(), "lt": 0, "rt": 0, "left": (0.0, 0.0), "right": (0.0, 0.0)}


def test_a_state_is_one_report_and_the_last_one_is_at_rest(vgamepad):
    pad = open_driver(PadConfig())
    pad.apply(PadState(frozenset({"A", "LB", "LT", "UP", "BACK"}), -1.0, 0.2, 0.0, 0.6))
    pad.apply(PadState(frozenset({"RB", "RT"})))
    (fake,) = vgamepad.pads
    pad.close()
    pad.close()
    assert fake.sent == [
        REST,
        {
            "buttons": {"A", "LEFT_SHOULDER", "DPAD_UP", "BACK"},
            "lt": 255,
            "rt": 0,
            "left": (-1, 0.2),
            "right": (0, 0.6),
        },
        {**REST, "buttons": {"RIGHT_SHOULDER"}, "rt": 255},
        REST,
    ]


def test_the_profile_says_which_button_is_which_how_far_a_trigger_goes_and_where_a_stick_begins(vgamepad):
    """0.5 + 0.5 * 0.2 = 0.6; 0.4 of a trigger's 255 is 102."""
    sticks = SticksConfig(right_dead_zone=0.5, invert_y=True)
    pad = GamepadPad(PadConfig(buttons={"A": "LT", "LT": "A", "B": "RS"}, trigger=0.4, sticks=sticks))
    pad.apply(PadState(frozenset({"A", "B"}), ry=0.2))
    assert vgamepad.pads[0].sent[-1] == {**REST, "buttons": {"RIGHT_THUMB"}, "lt": 102, "right": (0.0, -0.6)}
    pad.apply(PadState(frozenset({"LT"})))
    assert vgamepad.pads[0].sent[-1] == {**REST, "buttons": {"A"}}
    pad.apply(NEUTRAL)
    assert vgamepad.pads[0].sent[-1] == REST


linux = pytest.mark.skipif(sys.platform != "linux", reason="uinput is Linux's")


@linux
def test_a_machine_without_uinput_is_told_what_to_do(uinput):
    uinput.unlink()
    with pytest.raises(PadLostError, match=r"does not exist; as root: modprobe uinput, and a rule KERNEL=="):
        GamepadPad(PadConfig())


@linux
def test_a_missing_package_is_named(uinput, monkeypatch):
    monkeypatch.setitem(sys.modules, "vgamepad", None)
    with pytest.raises(MissingPackageError, match=r"needs vgamepad .*pip install 'skygarden\[window\]'"):
        GamepadPad(PadConfig())


@linux
def test_a_missing_library_is_named(uinput, monkeypatch):
    lacking = OSError("libevdev.so.2: cannot open shared object file: No such file or directory")
    monkeypatch.setitem(sys.modules, "vgamepad", Vgamepad(lacking))
    with pytest.raises(MissingPackageError, match=r"libevdev\.so\.2; on Debian: apt install libevdev2"):
        GamepadPad(PadConfig())
    monkeypatch.delitem(sys.modules, "vgamepad")
    load = builtins.__import__

    def refuse(name, *args):
        if name == "vgamepad":
            raise lacking
        return load(name, *args)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingPackageError, match="apt install libevdev2"):
        GamepadPad(PadConfig())


def test_a_missing_bus_on_windows_is_named(vgamepad, monkeypatch):
    monkeypatch.setattr(pad_gamepad.sys, "platform", "win32")
    load = builtins.__import__

    def refuse(name, *args):
        if name == "vgamepad":
            raise Exception("VIGEM_ERROR_BUS_NOT_FOUND")
        return load(name, *args)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingPackageError, match="ViGEmBus driver; install it from"):
        GamepadPad(PadConfig())


def test_a_pad_that_the_system_refuses_says_so(uinput, monkeypatch):
    monkeypatch.setitem(sys.modules, "vgamepad", Vgamepad(OSError(28, "No space left on device")))
    with pytest.raises(PadLostError, match=r"cannot be plugged in \(.*No space left"):
        GamepadPad(PadConfig())
