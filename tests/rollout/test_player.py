"""Laws of the player: what it plays follows from the head, the seeds and the sampling seed, and from nothing else."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from agents.inference import ActorConfig
from agents.policy import Policy
from envs.episode import Episode
from rollout.player import Player

Content = Callable[[Episode], dict[str, Any]]
Play = Callable[..., list[dict[str, Any]]]

ACTING = ActorConfig(precision="float32", processors=1)


@pytest.fixture
def player(policy: Policy, walks: Any) -> Player:
    """The tiny policy at the game."""
    return Player(policy, ACTING, walks)


@pytest.fixture
def play(content: Content) -> Play:
    """Play, and make of the episodes what can be compared."""

    def played(player: Player, seeds: Sequence[int], sampling_seed: int = 5) -> list[dict[str, Any]]:
        return [content(episode) for _, episode in player.play(seeds, sampling_seed)]

    return played


@pytest.fixture
def other() -> dict[str, Tensor]:
    """The weights of another head."""
    shape = {"hidden.weight": (1024, 32), "hidden.bias": (1024,), "out.weight": (68, 1024), "out.bias": (68,)}
    generator = torch.Generator().manual_seed(9)
    return {name: torch.randn(size, generator=generator) * 0.1 for name, size in shape.items()}


def test_it_plays_a_padded_episode_from_each_seed(player: Player) -> None:
    indices, episodes = zip(*player.play([4, 7, 2], 5), strict=True)
    assert indices == (0, 1, 2)
    assert [(e.seed, len(e), e.jumppad) for e in episodes] == [(4, 2, "middle"), (7, 5, "middle"), (2, 4, "right")]
    assert all(episode.features.shape == (100, 32) for episode in episodes)
    assert all(episode.features.any(1).all() for episode in episodes)  # those of the black frames too


def test_the_same_head_and_seeds_make_the_same_episodes_bit_for_bit(
    player: Player, play: Play, other: dict[str, Tensor]
) -> None:
    first = play(player, [4, 7])
    head = {name: tensor.clone() for name, tensor in player._policy.head.state_dict().items()}
    assert play(player, [4, 7]) == first
    player.load_head(other)
    play(player, [7, 6], 8)
    play(player, [1], 8)
    player.load_head(head)
    assert play(player, [4, 7]) == first


def test_it_plays_the_same_as_one_who_has_just_come(policy: Policy, player: Player, play: Play, walks: Any) -> None:
    play(player, [9, 8], 1)
    assert play(player, [4, 7]) == play(Player(policy, ACTING, walks), [4, 7])


def test_another_sampling_seed_draws_other_actions(player: Player, play: Play) -> None:
    assert play(player, [4, 7], 5)[0]["actions"] != play(player, [4, 7], 6)[0]["actions"]


@pytest.mark.parametrize("begun", [False, True])
def test_another_head_plays_from_when_it_is_loaded(
    policy: Policy, player: Player, play: Play, other: dict[str, Tensor], walks: Any, begun: bool
) -> None:
    before = play(Player(policy, ACTING, walks), [4, 7])
    if begun:
        assert play(player, [4, 7]) == before
    player.load_head(other)
    after = play(player, [4, 7])
    assert after != before
    assert [one["features"][1][0] for one in after] == [one["features"][1][0] for one in before]  # of the first frame
    policy.head.load_state_dict(other)
    assert play(Player(policy, ACTING, walks), [4, 7]) == after


def test_a_head_that_was_loaded_stays_when_the_number_of_environments_changes(
    policy: Policy, player: Player, play: Play, other: dict[str, Tensor], walks: Any
) -> None:
    play(player, [4, 7])
    player.load_head(other)
    policy.head.load_state_dict(other)
    assert play(player, [4, 7, 1]) == play(Player(policy, ACTING, walks), [4, 7, 1])


def test_the_game_is_started_anew_only_when_the_number_of_environments_changes(
    player: Player, play: Play, walks: Any
) -> None:
    for seeds in ([4, 7], [5, 8], [1, 2, 3], [4, 7]):
        assert [one["seed"] for one in play(player, seeds)] == seeds
    assert [(walk.num_envs, walk.rounds, walk.let_go) for walk in walks.made] == [
        (2, 2, True),
        (3, 1, True),
        (2, 1, False),
    ]
    player.close()
    player.close()
    assert walks.made[-1].let_go


def test_who_was_closed_can_play_again(player: Player, play: Play) -> None:
    first = play(player, [4, 7])
    player.close()
    assert play(player, [4, 7]) == first


def test_what_is_wanted_of_those_that_are_played_together_is_as_if_all_were(
    player: Player, content: Content, walks: Any
) -> None:
    whole = [(index, content(episode)) for index, episode in player.play([4, 7, 2], 5)]
    some = [(index, content(episode)) for index, episode in player.play([4, 7, 2], 5, {1, 2})]
    assert some == whole[1:]
    assert [walk.num_envs for walk in walks.made] == [3]


def test_a_game_with_one_player_plays_only_what_is_wanted(policy: Policy, content: Content, walks: Any) -> None:
    alone = Player(policy, ACTING, lambda _: walks(1))
    assert [(index, episode.seed) for index, episode in alone.play([4, 7, 2], 5, {0, 2})] == [(0, 4), (2, 2)]
    assert walks.made[0].rounds == 2


def test_who_is_stopped_gives_up_what_is_being_played_and_can_play_again(
    policy: Policy, play: Play, walks: Any
) -> None:
    alone = Player(policy, ACTING, lambda _: walks(1))
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 150  # 100 steps are the first episode and its black frames

    assert [(index, episode.seed) for index, episode in alone.play([4, 7, 2], 5, stop=stop)] == [(0, 4)]
    assert (asked, walks.made[0].rounds) == (151, 2)  # the third is not begun
    assert play(alone, [4, 7, 2]) == play(Player(policy, ACTING, lambda _: walks(1)), [4, 7, 2])
