"""A person's hands as raw axes and buttons, and a tenth of a second of them as an action."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.errors import OptionError
from envs.gamepad import decode
from envs.window.pad import PadState, SticksConfig
from rollout.lerobot.track import Held
from skygarden.hands import keys as sdl
from skygarden.recording.controller import held_by
from skygarden.recording.hands import Either, action_of, meant
from skygarden.recording.keyboard import KEYS, WindowsKeyboard, held_of, virtual_key

PLAIN = SticksConfig()


class Fixed:
    """Hands that hold one thing."""

    def __init__(self, held: Held) -> None:
        self.held = held
        self.closed = 0

    def read(self) -> Held:
        return self.held

    def close(self) -> None:
        self.closed += 1


def stick(lx: float = 0.0, ly: float = 0.0, lt: float = 0.0, pressed: tuple[str, ...] = ()) -> Held:
    return Held((lx, ly, 0.0, 0.0, lt, 0.0), frozenset(pressed))


def test_a_tap_is_an_action_however_short():
    tenth = [stick()] * 4 + [stick(pressed=("A",))] + [stick()]
    assert decode(action_of(tenth, PLAIN)).pressed == {"A"}


def test_a_stick_is_the_mean_of_the_tenth():
    """Full for half the tenth moves as far as half for all of it: bucket 5 + 0.5 * 5 = 7.5, rounded to even."""
    tenth = [stick(lx=1.0)] * 3 + [stick()] * 3
    assert decode(action_of(tenth, PLAIN)).lx == pytest.approx(0.6)
    assert decode(action_of([stick(lx=1.0), stick(lx=-1.0)], PLAIN)).lx == 0.0
    assert decode(action_of([stick(ly=0.8)] * 6, PLAIN)).ly == pytest.approx(0.8)


def test_start_and_back_are_no_actions():
    assert decode(action_of([stick(pressed=("START", "BACK", "B"))], PLAIN)).pressed == {"B"}


def test_a_trigger_counts_from_half_its_travel_on():
    assert decode(action_of([stick(lt=0.4)], PLAIN)).pressed == frozenset()
    assert decode(action_of([stick(lt=0.6)], PLAIN)).pressed == {"LT"}


axis = st.floats(-1, 1)
configs = st.builds(
    SticksConfig,
    left_dead_zone=st.floats(0, 0.5),
    right_dead_zone=st.floats(0, 0.5),
    shape=st.sampled_from(["axial", "radial"]),
    rescaled=st.just(True),
    invert_y=st.booleans(),
)


@given(configs, st.tuples(axis, axis, axis, axis))
def test_what_the_game_makes_of_a_stick_is_what_the_pad_was_told_to_mean(
    config: SticksConfig, sticks: tuple[float, float, float, float]
):
    """The inverse of what drives a pad, wherever a stick can go: within its circle if the dead zone is one."""
    if config.shape == "radial":
        sticks = (*np.array(sticks[:2]) / 1.5, *np.array(sticks[2:]) / 1.5)
    raw = config.raw(PadState(frozenset(), *sticks))
    assert meant(Held((*raw, 0.0, 0.0)), config) == pytest.approx(sticks, abs=1e-9)


def test_nothing_is_meant_within_the_dead_zone():
    config = SticksConfig(left_dead_zone=0.24)
    assert meant(stick(lx=0.2, ly=-0.24), config)[:2] == (0.0, 0.0)
    assert meant(stick(lx=0.62), config)[0] == pytest.approx(0.5)
    held_whole = SticksConfig(left_dead_zone=0.24, rescaled=False)
    assert meant(stick(lx=0.62), held_whole)[0] == pytest.approx(0.62)


def test_the_first_that_is_touched_counts():
    pad, keys = Fixed(stick(lx=0.1)), Fixed(stick(pressed=("A",)))
    either = Either((pad, keys))
    assert either.read() == keys.held  # 0.1 is how a stick rests
    pad.held = stick(lx=0.4)
    assert either.read() == pad.held
    pad.held = keys.held = Held()
    assert either.read() == Held()
    either.close()
    assert (pad.closed, keys.closed) == (1, 1)


def test_keys_are_a_gamepad():
    down = {"LY+", "LX-", "LX+", "RX-", "A", "LT", "START"}
    held = held_of(lambda name: name in down)
    assert held.axes == (0.0, 1.0, -1.0, 0.0, 1.0, 0.0)
    assert held.pressed == {"A", "LT", "START"}


class User32:
    """Windows' keyboard as documented: a SHORT whose highest bit is set while a key is down; the lowest may be, too."""

    def __init__(self, down: set[int]) -> None:
        self.down = down

    def GetAsyncKeyState(self, code: int) -> int:
        assert type(code) is int
        assert 1 <= code <= 254
        return -32767 if code in self.down else 1


def test_windows_keys_are_read_by_their_codes():
    keyboard = WindowsKeyboard(KEYS, User32({0x57, 0x20, 0xA0}))  # W, space, left shift
    held = keyboard.read()
    assert held.axes == (0.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    assert held.pressed == {"A", "B"}
    keyboard.close()


def test_a_key_that_windows_does_not_know_is_refused():
    assert virtual_key("F5") == 0x74
    with pytest.raises(OptionError, match="Hyper_L"):
        virtual_key("Hyper_L")


def test_a_controller_keeps_its_raw_axes():
    axes = {sdl.CONTROLLER_AXIS_LEFTX: 1638, sdl.CONTROLLER_AXIS_LEFTY: -32768, sdl.CONTROLLER_AXIS_TRIGGERRIGHT: 32767}
    held = held_by(lambda n: n == sdl.CONTROLLER_BUTTON_BACK, lambda n: axes.get(n, 0))
    assert held.axes == (pytest.approx(0.05, abs=1e-3), 1.0, 0.0, 0.0, 0.0, 1.0)
    assert held.pressed == {"RT", "BACK"}
