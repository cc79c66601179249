"""Hands that are read for each tick: the same motion as a held action's, and finer."""

import math

import numpy as np
import pytest

from envs.gamepad import BUTTONS
from envs.standin.camera import BOOM, LET_OUT
from envs.standin.physics import BODY, GUARD, IDLE, RUN_SPEED, STRIKE, TICK
from envs.standin.simulation import Easel, advance_ticks, picture_of

MOTION = [name for name in BODY.names or () if name != "boom"]  # the camera's is let out in six parts
LT, X = BUTTONS.index("LT"), BUTTONS.index("X")


def hold(player, ticks, *pressed, left=(0.0, 0.0), right=(0.0, 0.0)):
    """Hold a state for ticks; returns the body's record afterwards."""
    bits = sum(1 << BUTTONS.index(name) for name in pressed)
    advance_ticks(player.simulation.stage, player.simulation.bodies, bits, left, right, ticks)
    return player.simulation.bodies[0].copy()


def both(player, actions):
    """The states after actions, (steps,) each: of tenths of a second, and of six ticks for each."""
    start = player.simulation.bodies.copy()
    tenths = player.play(actions)
    player.simulation.bodies[:] = start
    ticks = []
    for action in actions:
        sticks = [(int(a) - 5) / 5.0 for a in action[12:]]
        pressed = [name for name, down in zip(BUTTONS, action, strict=False) if down]
        ticks.append(hold(player, 6, *pressed, left=(sticks[0], sticks[1]), right=(sticks[2], sticks[3])))
    return tenths, np.array(ticks, BODY)


@pytest.mark.parametrize("seed", range(8))
def test_six_ticks_of_a_held_action_are_a_tenth_of_a_second_bit_for_bit(player, restless_actions, seed):
    actions = restless_actions(seed, 150)
    actions[:, LT] = 0
    tenths, ticks = both(player.spawn(seed % 4), actions)
    assert np.array_equal(tenths[MOTION], ticks[MOTION])


def test_a_guard_that_is_held_for_begins_with_the_first_tick_in_which_one_is_free(player):
    """A strike takes 0.4 s, 24 ticks: an action's guard begins at the end of the tenth in which it ended."""
    hold(player.put(0.0, -20.0), 1, "X")
    assert hold(player, 23, "LT")["busy"] == STRIKE
    assert hold(player, 1, "LT")["busy"] == IDLE
    assert hold(player, 1, "LT")["busy"] == GUARD


def test_a_button_that_stays_down_begins_one_move(player):
    way = [hold(player.put(0.0, -20.0), 1, "A")] + [hold(player, 1, "A") for _ in range(59)]
    up = [state["z"] > 3.0 for state in way]
    assert up[0]
    assert not any(up[50:])


def test_a_button_can_be_pressed_again_after_one_tick(player):
    assert hold(player.put(0.0, -20.0), 1, "LB")["busy"] != IDLE
    player.body["busy"] = IDLE
    assert hold(player, 1, "LB")["busy"] == IDLE
    hold(player, 1)
    assert hold(player, 1, "LB")["busy"] != IDLE


@pytest.mark.parametrize("push", [0.5, 0.77])
def test_a_stick_between_two_buckets_runs_at_a_speed_between(player, push):
    assert hold(player.put(-12.0, -21.5, facing=90), 60, left=(0.0, push))["vx"] == pytest.approx(push * RUN_SPEED)


def test_a_stick_between_two_buckets_turns_at_a_pace_between(player):
    """0.3 times the square root of 0.3 is 0.164, of 200 degrees a second."""
    turned = math.degrees(hold(player.put(0.0, -20.0), 60, right=(0.3, 0.0))["yaw"])
    assert turned == pytest.approx(200.0 * 0.3**1.5, abs=1e-6)


def test_one_tick_turns_a_sixtieth(player):
    assert math.degrees(hold(player.put(0.0, -20.0), 1, right=(1.0, 0.0))["yaw"]) == pytest.approx(200.0 * TICK)


def test_the_camera_is_let_out_as_fast_as_in_tenths(player):
    def after(ticks):
        player.put(0.0, -20.0).body["boom"] = 1.0
        return float(hold(player, ticks)["boom"])

    assert after(1) == pytest.approx(1.0 + LET_OUT / 6)
    assert after(6) == pytest.approx(1.0 + LET_OUT)
    assert after(120) == BOOM
    player.body["boom"] = 1.0
    player.hold(1)
    assert player.body["boom"] == pytest.approx(1.0 + LET_OUT)


# Pictures


def middle(picture, side):
    """The square in the middle."""
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    return picture[top : top + side, left : left + side]


@pytest.mark.parametrize(("width", "height"), [(640, 480), (1280, 720), (480, 480), (500, 800), (160, 128)])
@pytest.mark.parametrize("spawn", range(4))
def test_the_square_in_the_middle_is_the_square_picture(player, width, height, spawn):
    stage, side = player.simulation.stage, min(width, height)
    bodies = player.spawn(spawn).simulation.bodies
    wide = Easel(stage, width, height, side).draw(bodies, spawn, 1)
    apart = np.abs(middle(wide, side).astype(int) - picture_of(stage, bodies, spawn, 1, side, side)).max(-1)
    assert wide.shape == (height, width, 3)
    assert np.mean(apart > 2) < 0.001
    assert apart.mean() < 0.02


def test_an_easel_draws_again_and_again(player):
    stage, bodies = player.simulation.stage, player.simulation.bodies
    easel = Easel(stage, 160, 96, 96)
    first = easel.draw(bodies, 0, 0).copy()
    other = easel.draw(player.spawn(1).simulation.bodies, 3, 2)
    assert other is easel.picture
    assert not np.array_equal(first, other)
    assert np.array_equal(first, easel.draw(player.spawn(0).simulation.bodies, 0, 0))
    assert np.shares_memory(easel.picture, easel.canvas)
    assert easel.canvas.flags.c_contiguous
