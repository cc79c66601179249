"""Laws of motion, with numbers worked by hand."""

import math

import numpy as np
import pytest

from envs.standin.camera import follow
from envs.standin.island import BODY_RADIUS, PADS, SPAWNS, VOID, height_at
from envs.standin.physics import (
    APPEAR,
    BODY,
    DODGE,
    DODGE_SPEED,
    GRAVITY,
    IDLE,
    JUMP_SPEED,
    LAND,
    LAUNCH_TIME,
    RUN_SPEED,
    SINK,
    STEP_UP,
    TICK,
)
from envs.standin.raster import CAMERA

START_UP = RUN_SPEED**2 / (2 * 45.0)  # metres lost while reaching full speed at 45 m/s2
RING = [(BODY_RADIUS * math.sin(k * math.pi / 4), BODY_RADIUS * math.cos(k * math.pi / 4)) for k in range(8)]


# Running


def test_running_covers_the_running_speed_times_the_time(player):
    """East along the terrace: two seconds less the start, 13.1 m at 6.8 m/s; the first tick is already at 0.75 m/s."""
    way = player.put(-12.0, -21.5, facing=90).hold(20, ly=1.0)
    assert way["x"][-1] + 12.0 == pytest.approx(2.0 * RUN_SPEED - START_UP, abs=0.1)
    assert way["y"][-1] == pytest.approx(-21.5)
    assert np.all(way["z"] == 3.0)


@pytest.mark.parametrize(("stick", "share"), [(1.0, 1.0), (0.6, 0.6), (0.2, 0.2)])
def test_speed_follows_the_stick(player, stick, share):
    way = player.put(-12.0, -21.5, facing=90).hold(10, ly=stick)
    assert way["vx"][-1] == pytest.approx(share * RUN_SPEED)


@pytest.mark.parametrize(
    ("sticks", "direction"),
    [({"ly": 1.0}, (1, 0)), ({"ly": -1.0}, (-1, 0)), ({"lx": 1.0}, (0, -1)), ({"lx": -1.0}, (0, 1))],
)
def test_the_left_stick_is_read_in_the_direction_of_the_camera(player, sticks, direction):
    """The camera looks east: ahead is east, and right is south."""
    way = player.put(0.0, -20.0, facing=90).hold(5, **sticks)
    assert np.allclose([way["vx"][-1], way["vy"][-1]], np.multiply(direction, RUN_SPEED), atol=1e-9)


def test_a_diagonal_is_no_faster_than_straight_ahead(player):
    way = player.put(0.0, -20.0).hold(5, lx=1.0, ly=1.0)
    assert math.hypot(way["vx"][-1], way["vy"][-1]) == pytest.approx(RUN_SPEED)


def test_the_right_stick_turns_the_camera_200_degrees_a_second(player):
    way = player.put(0.0, -20.0).hold(5, rx=1.0)
    assert math.degrees(way["yaw"][-1]) == pytest.approx(100.0)
    assert math.degrees(player.hold(10, rx=1.0)["yaw"][-1]) == pytest.approx(300.0 - 360.0)


def test_a_faint_touch_of_the_right_stick_turns_finely(player):
    """The square root of 0.2 times 0.2 is 0.0894 of 200 degrees a second: 1.8 degrees a step."""
    assert math.degrees(player.put(0.0, -20.0).hold(1, rx=0.2)["yaw"][-1]) == pytest.approx(1.79, abs=0.01)


def test_pushing_the_right_stick_up_looks_up_and_there_is_an_end_to_it(player):
    start = player.put(0.0, -20.0).body["pitch"]
    assert player.hold(1, ry=0.4)["pitch"][-1] < start
    assert player.hold(30, ry=1.0)["pitch"][-1] == pytest.approx(-0.5)
    assert player.hold(30, ry=-1.0)["pitch"][-1] == pytest.approx(0.95)


# Jumping, dodging, falling


def test_a_jump_rises_to_v_squared_over_2g_and_comes_down_where_it_began(player):
    """1.28 m, less half a tick of the first speed, in 2 v / g = 0.76 s."""
    way = player.put(0.0, -20.0).hold(12, "A")
    top = JUMP_SPEED**2 / (2 * GRAVITY) - JUMP_SPEED * TICK / 2
    assert way["z"].max() - 3.0 == pytest.approx(top, abs=0.02)
    airborne = 0.1 * np.count_nonzero(way["grounded"] == 0)
    assert airborne == pytest.approx(2 * JUMP_SPEED / GRAVITY, abs=0.1)
    assert way["z"][-1] == 3.0


def test_a_held_button_jumps_once(player):
    way = player.put(0.0, -20.0).hold(30, "A")
    assert np.all(way["z"][10:] == 3.0)


def test_there_is_no_jump_in_the_air(player):
    player.put(0.0, -20.0).hold(3, "A")
    player.hold(1)
    assert player.hold(4, "A")["z"].max() - 3.0 < 1.3


def test_a_dodge_covers_its_speed_for_a_third_of_a_second_in_the_direction_of_the_stick(player):
    """20 or 21 ticks at 10 m/s are 3.3 to 3.5 m, and a little sliding to a stand."""
    player.put(0.0, -20.0).hold(1, "B", ly=-1.0)
    way = player.hold(4, ly=0.0)
    assert 3.3 <= -20.0 - way["y"][-1] <= 3.5 + DODGE_SPEED**2 / (2 * 45.0)
    assert way["x"][-1] == pytest.approx(0.0, abs=1e-9)


def test_a_dodge_takes_its_time(player):
    """0.6 s, in which there is neither another dodge nor a jump."""
    player.put(-10.0, -21.5, facing=90).hold(1, "B", ly=1.0)
    player.hold(1)
    way = player.hold(3, "A", "B")
    assert np.all(way["z"] == 3.0)
    assert np.all(way["busy"] == DODGE)
    assert player.hold(2)["busy"][-1] == IDLE


def test_who_walks_off_the_terrace_lands_with_a_pause(player):
    """3 m are 0.58 s and 10.4 m/s; for 0.3 s after that one runs at a quarter of the speed."""
    way = player.put(0.0, -16.0).hold(12, ly=1.0)
    landed = int(np.flatnonzero((way["z"] == 0.0) & (way["grounded"] == 1.0))[0])
    assert way["busy"][landed] == LAND
    falling = np.flatnonzero(way["z"] < 3.0)[0]
    assert 4 <= landed - falling <= 6
    assert way["vy"][landed + 1] == pytest.approx(0.25 * RUN_SPEED)
    assert player.hold(5, ly=1.0)["busy"][-1] == IDLE


def test_a_jump_on_level_ground_needs_no_pause(player):
    way = player.put(0.0, -20.0).hold(12, "A")
    assert np.all(way["busy"] == IDLE)


def test_who_runs_off_the_island_is_back_at_the_spawn_and_it_counts(player):
    """From 0 to -14 m in sqrt(2 x 14 / 18) = 1.25 s; then the figure appears for 0.8 s."""
    player.put(-21.0, -14.0, facing=-90)
    way = player.hold(25, ly=1.0)
    back = int(np.flatnonzero(way["falls"] == 1.0)[0])
    assert way["z"][:back].min() < SINK / 2
    over_the_edge = int(np.flatnonzero(way["x"] < -23.0)[0])
    assert 12 <= back - over_the_edge <= 14
    spawn = SPAWNS[0]
    assert way[back][["x", "y", "z", "yaw", "falls", "busy"]].item() == (spawn.x, spawn.y, 3.0, spawn.yaw, 1.0, APPEAR)
    assert np.all(way["z"] >= SINK)


def test_each_spawn_takes_back_who_began_there(player):
    for index, spawn in enumerate(SPAWNS):
        player.spawn(index).body["x"] = -59.0
        player.hold(20)
        assert (player.body["x"], player.body["y"], player.body["falls"]) == (spawn.x, spawn.y, 1.0)


# Walls


@pytest.mark.parametrize("stick", [1.0, 0.6, 0.2])
def test_a_wall_stops(player, stick):
    """The hall's south wall is at -7: one stands a radius off it, or a tick's way more."""
    way = player.put(0.0, -9.0).hold(30, ly=stick)
    assert -7.0 - BODY_RADIUS - stick * RUN_SPEED * TICK <= way["y"][-1] <= -7.0 - BODY_RADIUS
    assert np.array_equal(way[-1], player.hold(1, ly=stick)[0]) or way["vy"][-1] == pytest.approx(0.0, abs=0.8)


def test_along_a_wall_one_slides(player):
    """North-east into the hall's south wall: what is left is east."""
    way = player.put(-3.0, -8.0, facing=45).hold(10, ly=1.0)
    assert way["x"][-1] > 0.0
    assert way["y"][-1] <= -7.0 - BODY_RADIUS


def test_no_wall_is_thin_enough_to_run_or_dodge_through(player):
    """The red wall is 0.7 m thick; a dodge's tick is 0.17 m."""
    player.put(-13.2, -1.0, facing=-90).hold(1, "B", ly=1.0)
    assert player.hold(10, ly=1.0)["x"][-1] > -14.4


def test_a_ramp_is_walked_up_without_a_jump(player):
    """The ramp to the middle pad rises 1.5 m."""
    way = player.put(0.0, 2.0).hold(10, ly=1.0)
    assert way["z"][-1] == pytest.approx(1.5)
    assert np.all(way["grounded"] == 1.0)


def obstructed(ground, x, y, z):
    return any(height_at(ground, x + dx, y + dy) > z + STEP_UP for dx, dy in RING)


def test_who_stays_on_foot_never_comes_nearer_to_a_wall_than_a_radius(player, restless_actions):
    checked = 0
    for seed in range(60):
        player.spawn(seed % 4)
        actions = restless_actions(seed, 150)
        actions[:, 0] = 0  # no jumps
        for state in player.play(actions):
            if state["grounded"] == 0.0:  # a drop beside a wall is another story
                break
            assert not obstructed(player.ground, state["x"], state["y"], state["z"])
            checked += 1
    assert checked > 2000


def test_no_body_is_ever_inside_solid_ground(player, restless_actions):
    """Wherever 40,000 steps of running, jumping and dodging lead, the ground is not above the feet."""
    for seed in range(200):
        states = player.spawn(seed % 4).play(restless_actions(seed, 200))
        states = states[states["flight"] < 0]
        under = np.array([height_at(player.ground, s["x"], s["y"]) for s in states])
        worst = int(np.argmax(under - states["z"]))
        assert under[worst] <= states["z"][worst] + 1e-9, f"seed {seed}, step {worst}: {states[worst]}"


def test_who_jumps_onto_a_ledge_is_never_inside_it(player):
    """The left pad's platform begins at y = -1 and is 1 m high: feet that rise past 0.58 m may come over it."""
    up = 0
    for away in np.arange(2.0, 5.0, 0.05):
        player.put(-22.1, -1.0 - BODY_RADIUS - away).hold(3, ly=1.0)
        way = player.hold(14, "A", ly=1.0)
        over = (way["y"] >= -1.0) & (way["y"] <= 7.2)
        assert np.all(way["z"][over] >= 1.0), f"from {away:.2f} m away"
        up += bool(over.any())
    assert up > 10


@pytest.mark.parametrize("stick", [1.0, 0.8, 0.6, 0.4, 0.2])
def test_who_steps_off_a_ledge_can_walk_on_however_slow(player, stick):
    """Off the terrace through the gap in its parapet, then ahead for a second: 5 m or more."""
    player.put(0.0, -15.6).hold(30, ly=stick)
    player.hold(10)
    assert player.body["z"] == 0.0
    start = player.body["y"]
    if start < -12.0:
        assert player.hold(10, ly=1.0)["y"][-1] > start + 4.0


def test_nobody_is_ever_held_fast(player, restless_actions):
    """After any 200 steps, a second of running in one of eight directions leads at least half a metre away."""
    held = []
    for seed in range(60):
        player.spawn(seed % 4).play(restless_actions(seed, 200))
        player.hold(15)  # to land, and to end what one is busy with
        if player.body["jumppad"] >= 0 or player.body["flight"] >= 0:
            continue
        here = player.simulation.bodies.copy()
        reach = 0.0
        for k in range(8):
            player.simulation.bodies[:] = here
            lx, ly = math.sin(k * math.pi / 4), math.cos(k * math.pi / 4)
            player.hold(10, lx=lx, ly=ly)
            reach = max(reach, math.hypot(player.body["x"] - here["x"][0], player.body["y"] - here["y"][0]))
        if reach < 0.5:
            held.append((seed, *(round(float(here[axis][0]), 2) for axis in "xyz")))
    assert not held


# Pads


@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize("across", [-1.2, 0.0, 1.2])
def test_a_pad_launches_whoever_comes_onto_it_to_the_main_island(player, index, across):
    pad = PADS[index]
    ahead = (math.sin(pad.yaw), math.cos(pad.yaw))
    x = pad.x - 2.2 * ahead[0] + across * ahead[1]
    y = pad.y - 2.2 * ahead[1] - across * ahead[0]
    player.put(x, y, facing=math.degrees(pad.yaw))
    way = player.hold(6, ly=1.0)
    assert way["jumppad"][-1] == index
    assert np.all(np.isin(way["jumppad"], (-1, index)))
    flight = player.hold(40)
    line = (pad.ground + pad.landing[2]) / 2
    assert flight["z"].max() - line == pytest.approx(GRAVITY * LAUNCH_TIME**2 / 8, abs=0.6)  # 13 m
    landed = flight[int(np.flatnonzero(flight["flight"] < 0)[0])]
    assert math.dist((landed["x"], landed["y"]), pad.landing[:2]) < 3.0  # it slides by then
    assert landed["z"] == pad.landing[2]
    assert (player.body["vx"], player.body["vy"], player.body["grounded"]) == (0.0, 0.0, 1.0)
    assert player.body["y"] > 58.0
    assert player.body["z"] == height_at(player.ground, player.body["x"], player.body["y"]) > VOID


def test_the_stick_does_not_steer_a_launch(player):
    pad = PADS[1]
    ends = []
    for lx in (-1.0, 1.0):
        player.put(pad.x, pad.y - 2.2).hold(6, ly=1.0)
        ends.append(player.hold(20, "A", "B", lx=lx)[["x", "y", "z"]][-1])
    assert ends[0] == ends[1]


def test_only_who_stands_on_a_pad_is_launched(player):
    """Not from beside it, nor from high above it."""
    pad = PADS[1]
    for up in (1.25, 5.0):
        player.put(pad.x, pad.y, up=up)
        player.body["vz"] = 20.0
        assert player.hold(1)["jumppad"][0] == -1
    player.put(pad.x + pad.width / 2 + 0.1, pad.y)
    assert player.hold(1)["jumppad"][0] == -1


# The camera


def camera_of(player):
    camera = np.zeros(1, CAMERA)
    follow(player.body, player.ground, camera[0])
    return camera[0]


def test_the_camera_stands_behind_the_figure_and_looks_at_its_head(player):
    """4.2 m behind, and higher by 4.2 sin 0.16 = 0.67 m, less what the grid of tries gives away."""
    player.put(0.0, -10.0).hold(20)
    camera = camera_of(player)
    assert camera["x"] == pytest.approx(0.0, abs=1e-6)
    assert -10.0 - camera["y"] == pytest.approx(4.2 * math.cos(0.16), abs=0.3)
    assert camera["z"] == pytest.approx(1.55 + 0.67, abs=0.06)
    assert (camera["forward_y"], camera["forward_z"]) == pytest.approx((math.cos(0.16), -math.sin(0.16)))


def test_the_cameras_axes_are_square_to_each_other(player):
    player.put(0.0, -10.0).hold(7, rx=0.8, ry=-0.6)
    camera = camera_of(player)
    axes = np.array([[camera[f"{name}_{axis}"] for axis in "xyz"] for name in ("right", "down", "forward")], float)
    assert np.allclose(axes @ axes.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(axes) == pytest.approx(1.0, abs=1e-6)


def test_the_camera_never_lies_below_the_ground(player, restless_actions):
    below = []
    for seed in range(60):
        player.spawn(seed % 4)
        for k, action in enumerate(restless_actions(seed, 100)):
            state = player.play(action[None])[0]
            if k % 4 or state["flight"] >= 0 or state["z"] < -0.5:  # solids go down without end, but are not drawn so
                continue
            camera = camera_of(player)
            ground = height_at(player.ground, float(camera["x"]), float(camera["y"]))
            if ground > camera["z"]:
                below.append((seed, k, round(ground - float(camera["z"]), 2), player.position.round(2).tolist()))
    assert not below


@pytest.mark.parametrize("facing", range(0, 360, 45))
def test_a_wall_behind_the_figure_brings_the_camera_in(player, facing):
    """With its back to the hall's south wall, and turned about."""
    player.put(0.0, -6.0 - 1.0 - BODY_RADIUS - 0.01, facing=facing).hold(3)
    camera = camera_of(player)
    floor = height_at(player.ground, float(camera["x"]), float(camera["y"]))
    assert floor <= camera["z"]


# Records


def test_a_spawn_sets_everything_there_is(player):
    """Whatever a body was, a spawn leaves no trace of it."""
    fresh = player.spawn(2).body.copy()
    player.simulation.bodies[:] = np.full(BODY.itemsize // 8, 7.0).view(BODY)
    assert player.spawn(2).body == fresh


def test_nowhere_is_void_only(player):
    assert height_at(player.ground, 0.0, 40.0) == VOID  # between the islands
    assert height_at(player.ground, 1e6, -1e6) == VOID
