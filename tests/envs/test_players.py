"""The scripted humans: experts arrive, and the rest are a population."""

import collections

import numpy as np
import pytest

from envs.backend import JUMPPADS
from envs.gamepad import SIZES
from envs.standin.island import SPAWNS, WAYPOINTS
from envs.standin.players import EXPERT, POPULATION, Habits, Player, draw_habits, eyes, find_way
from envs.standin.replay import Recorder


def live(habits: Habits, spawn: int, target: str | None, seed: int, steps: int) -> tuple[str | None, int]:
    """One life: the pad that was reached and after how many steps."""
    recorder = Recorder(dressing=0, character=0, skin=0, player=habits.kind, seed=seed)
    player = Player(habits, np.random.default_rng(seed))
    recorder.begin(spawn)
    body = recorder.body[0]
    player.begin((float(body["x"]), float(body["y"])), target)
    for step in range(steps):
        action = player.act(*eyes(body))
        assert np.all(action < SIZES)
        if recorder.step(action):
            return JUMPPADS[int(body["jumppad"])], step + 1
    return None, steps


@pytest.mark.parametrize("target", JUMPPADS)
@pytest.mark.parametrize("spawn", range(len(SPAWNS)))
def test_an_expert_reaches_every_pad_from_every_spawn_within_95_steps(spawn: int, target: str) -> None:
    ends = [live(EXPERT, spawn, target, seed, 95) for seed in range(50)]
    assert sum(pad == target for pad, _ in ends) >= 49.5  # 99% of 50
    assert 55 <= np.median([steps for _, steps in ends]) <= 92


def test_people_reach_all_pads_mostly_the_middle_one_and_some_reach_none() -> None:
    rng = np.random.default_rng(0)
    ends = collections.Counter(live(draw_habits(rng), k % 4, None, k, 100)[0] for k in range(600))
    assert 0.4 <= 1 - ends[None] / 600 <= 0.75
    assert ends["middle"] == max(ends[pad] for pad in JUMPPADS)
    assert all(ends[pad] >= 60 for pad in JUMPPADS)


def test_the_population_has_all_its_kinds() -> None:
    rng = np.random.default_rng(1)
    drawn = collections.Counter(draw_habits(rng).kind for _ in range(3000))
    assert sum(share for share, _ in POPULATION) == pytest.approx(1.0)
    for share, habits in POPULATION:
        assert drawn[habits.kind] / 3000 == pytest.approx(share, abs=0.03)


def test_without_a_taste_the_shortest_way_is_taken() -> None:
    rng = np.random.default_rng(0)
    assert find_way(WAYPOINTS["gate"], "middle", rng, 0.0)[-1] == WAYPOINTS["middle"]
    west = find_way((SPAWNS[0].x, SPAWNS[0].y), "left", rng, 0.0)
    assert WAYPOINTS["foot west"] in west
    assert WAYPOINTS["gap"] not in west


def test_a_player_in_the_air_keeps_its_hands_still() -> None:
    player = Player(EXPERT, np.random.default_rng(0))
    player.begin((0.0, -20.0), "middle")
    assert player.act(0.0, 30.0, 0.0, True).tolist() == [0] * 12 + [5] * 4
