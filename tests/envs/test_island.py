"""Laws of the place: what stands where, and how high the ground is."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs import backend
from envs.standin.island import (
    BODY_RADIUS,
    NEIGHBOURS,
    PADS,
    SPAWNS,
    VOID,
    WAYPOINTS,
    build_ground,
    build_island,
    height_at,
    is_open,
    prism,
)
from envs.standin.physics import STEP_UP

SEEDS = range(12)


@pytest.fixture(scope="module")
def islands():
    """Twelve dressings."""
    return [build_island(np.random.default_rng(seed)) for seed in SEEDS]


@pytest.fixture(scope="module")
def grounds(islands):
    """Their grounds."""
    return [build_ground(each) for each in islands]


def inside(solid, x, y):
    """By the winding of the corners; an outline runs counter-clockwise."""
    corners = np.array(solid.outline)
    ahead = np.roll(corners, -1, axis=0) - corners
    to = np.array([x, y]) - corners
    return bool(np.all(ahead[:, 0] * to[:, 1] - ahead[:, 1] * to[:, 0] >= 0))


def highest(place, x, y):
    """The height of the ground, from every solid there is."""
    things = [prism("", d.x, d.y, d.radius, 6, d.ground + d.height, d.turn) for d in place.dressing]
    return max((s.top(x, y) for s in (*place.solids, *things) if inside(s, x, y)), default=VOID)


def test_the_task_and_the_world_agree_on_pads_and_spawns():
    assert backend.JUMPPADS == ("left", "middle", "right")
    assert len(SPAWNS) == backend.SPAWNS == 4


def test_outlines_are_convex_and_run_counter_clockwise(islands):
    for solid in islands[0].solids:
        corners = np.array(solid.outline)
        edges = np.roll(corners, -1, axis=0) - corners
        following = np.roll(edges, -1, axis=0)
        assert np.all(edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0] > 0), solid


def test_the_grounds_height_is_the_highest_top_over_a_point(islands, grounds):
    rng = np.random.default_rng(0)
    over_things = 0
    for place, ground in zip(islands[:4], grounds, strict=False):
        points = rng.uniform((-40.0, -35.0), (40.0, 115.0), (400, 2)).tolist()
        points += [(d.x + rng.normal(0, d.radius), d.y + rng.normal(0, d.radius)) for d in place.dressing]
        for x, y in points:
            expected = highest(place, x, y)
            assert height_at(ground, x, y) == pytest.approx(expected, abs=1e-9)
            over_things += expected > 1.0
    assert over_things > 100


def test_hand_worked_heights(grounds):
    """The terrace, its west ramp half way down, the hall's roof, the middle platform, the main island, nothing."""
    for ground in grounds:
        assert height_at(ground, 0.0, -18.0) == 3.0
        assert height_at(ground, -10.5, -12.2) == pytest.approx(1.5)
        assert height_at(ground, 0.0, -2.7) == pytest.approx(6.4)
        assert height_at(ground, 0.0, 12.0) == 1.5
        assert height_at(ground, 0.0, 66.0) == -1.0
        assert height_at(ground, 0.0, 40.0) == VOID


def test_where_it_is_open_nothing_within_a_bodys_radius_is_higher(world):
    """At random places, and at those around the things that one runs into."""
    rng = np.random.default_rng(0)
    places = rng.uniform((-62.0, -42.0), (62.0, 122.0), (2000, 2)).tolist()
    places += [(d.x + rng.normal(0, 1), d.y + rng.normal(0, 1)) for d in world.island.dressing for _ in range(10)]
    places += [(x + rng.normal(0, 0.6), y + rng.normal(0, 0.6)) for s in world.island.solids for x, y in s.outline]
    opened = closed = 0
    for x, y in places:
        limit = rng.uniform(-1.5, 4.0)
        angles, reach = rng.uniform(-math.pi, math.pi, 12), BODY_RADIUS * np.sqrt(rng.uniform(0, 1, 12))
        around = zip((x + reach * np.cos(angles)).tolist(), (y + reach * np.sin(angles)).tolist(), strict=True)
        highest_near = max(height_at(world.ground, *p) for p in [(x, y), *around])
        if is_open(world.ground, x, y, limit):
            assert highest_near <= limit
            opened += 1
        else:
            closed += 1
    assert opened > 500
    assert closed > 200


def test_far_from_everything_it_is_open(world):
    """On the lawn, on the terrace, on the middle platform."""
    for x, y, height in ((0.0, -11.0, 0.0), (0.0, -20.5, 3.0), (0.0, 11.0, 1.5)):
        assert is_open(world.ground, x, y, height + 0.01)
        assert not is_open(world.ground, x, y, height - 0.01)


@given(st.floats(), st.floats())
def test_there_is_an_answer_everywhere(world, x, y):
    height = height_at(world.ground, x, y)
    assert height == VOID or -20.0 < height < 20.0


# Spawns, pads, dressing


def test_every_spawn_stands_on_level_ground_in_every_world(grounds):
    for ground in grounds:
        for spawn in SPAWNS:
            around = [height_at(ground, spawn.x + dx, spawn.y + dy) for dx in (-0.6, 0, 0.6) for dy in (-0.6, 0, 0.6)]
            assert around == [3.0] * 9


def test_every_pad_stands_on_ground_of_its_height_in_every_world(grounds):
    for ground in grounds:
        for pad in PADS:
            ahead = (math.sin(pad.yaw), math.cos(pad.yaw))
            for along, across in ((0, 0), (-1.2, 0), (1.2, 0), (0, -1.4), (0, 1.4)):
                x = pad.x + along * ahead[0] + across * ahead[1]
                y = pad.y + along * ahead[1] - across * ahead[0]
                assert height_at(ground, x, y) == pytest.approx(pad.ground)


def test_every_pad_throws_to_the_main_island_and_not_against_something(grounds):
    for ground in grounds:
        for pad in PADS:
            x, y, z = pad.landing
            assert height_at(ground, x, y) == z
            assert y > 58.0


def test_two_spawns_lie_on_each_side():
    assert sorted(math.copysign(1, s.x) for s in SPAWNS) == [-1, -1, 1, 1]


def test_the_dressing_keeps_off_spawns_and_pads(islands):
    for place in islands:
        for thing in place.dressing:
            for spawn in SPAWNS:
                assert math.dist((thing.x, thing.y), (spawn.x, spawn.y)) > thing.radius + 0.5
            for pad in PADS:
                assert math.dist((thing.x, thing.y), (pad.x, pad.y)) > thing.radius + pad.length / 2 + 0.5


def test_the_dressing_stands_on_the_ground_and_not_on_each_other(islands):
    for place in islands:
        bare = place.solids
        for thing in place.dressing:
            assert thing.ground == max(s.top(thing.x, thing.y) for s in bare if inside(s, thing.x, thing.y))
        for k, one in enumerate(place.dressing):
            for other in place.dressing[:k]:
                assert math.dist((one.x, one.y), (other.x, other.y)) > one.radius + other.radius


def test_a_seed_moves_the_dressing_and_the_sun_but_nothing_that_one_walks_on(islands):
    assert len({place.solids for place in islands}) == 1
    assert len({place.dressing for place in islands}) == len(islands)
    assert len({place.sun for place in islands}) == len(islands)


def test_the_same_seed_gives_the_same_island(islands):
    assert build_island(np.random.default_rng(3)) == islands[3]


def test_the_sun_is_a_direction_above_the_horizon(islands):
    for place in islands:
        assert math.hypot(*place.sun) == pytest.approx(1.0)
        assert place.sun[2] > 0.5


def test_every_world_has_rocks_and_three_kinds_of_trees(islands):
    for place in islands:
        assert {thing.kind for thing in place.dressing} == {"dummy", "rock", "pine", "autumn", "birch"}
        assert len(place.dressing) > 30


# Ways


def test_every_way_goes_both_ways_between_waypoints_that_exist():
    for name, others in NEIGHBOURS.items():
        assert name in WAYPOINTS
        assert others
        assert all(name in NEIGHBOURS[other] for other in others)


@pytest.mark.parametrize(
    "way", sorted({tuple(sorted((a, b))) for a, o in NEIGHBOURS.items() for b in o}), ids=" - ".join
)
def test_no_wall_stands_across_a_way(grounds, way):
    """Every 0.2 m: a drop that can only be taken one way is allowed, up and down again by more than a step is not."""
    a, b = (WAYPOINTS[name] for name in way)
    line = np.linspace(a, b, math.ceil(math.dist(a, b) / 0.2) + 1).tolist()
    for ground in grounds:
        heights = np.array([height_at(ground, x, y) for x, y in line])
        assert heights.min() > VOID
        climbs = np.diff(heights)
        assert climbs.max() <= STEP_UP or climbs.min() >= -STEP_UP


@pytest.mark.parametrize("pad", backend.JUMPPADS)
@pytest.mark.parametrize("spawn", range(4))
def test_every_pad_can_be_reached_from_every_spawn_in_every_world(player, guide, grounds, pad, spawn):
    """Within the 100 steps of an episode, by one who knows the way."""
    simulation, stage = player.simulation, player.simulation.stage
    try:
        for seed, ground in zip(SEEDS, grounds, strict=True):
            simulation.stage = stage._replace(ground=ground)
            player.spawn(spawn)
            way = guide(pad, spawn)
            for _ in range(100):
                player.play(way.action(player.position)[None])
                if player.body["jumppad"] >= 0:
                    break
            assert player.body["jumppad"] == backend.JUMPPADS.index(pad), f"dressing {seed}, at {player.position}"
    finally:
        simulation.stage = stage


def test_the_pads_lie_55_to_90_steps_away_for_one_who_knows_the_way(player, guide):
    """From the nearer side; from the farther one a little more."""
    for pad, spawns in (("left", (0, 1)), ("middle", (0, 1, 2, 3)), ("right", (2, 3))):
        for spawn in spawns:
            player.spawn(spawn)
            way, steps = guide(pad, spawn), 0
            while player.body["jumppad"] < 0:
                player.play(way.action(player.position)[None])
                steps += 1
            assert 50 <= steps <= 90, (pad, spawn)
