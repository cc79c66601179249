"""Laws of the critic: it is ridge regression, it forgets at its rate, and it can be put down and taken up."""

import pytest
import torch

from agents.critic import MEMORY, RIDGE, Critic
from envs.errors import CheckpointError


def steps(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of width 3, and rewards that follow from them."""
    features = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))
    return features, features @ torch.tensor([0.5, -0.25, 0.0]) + 0.125


def test_it_expects_nothing_before_it_has_learnt() -> None:
    assert Critic(3).expect(torch.ones(2, 4, 3)).tolist() == [[0.0] * 4] * 2


def test_from_many_steps_it_learns_what_the_features_tell() -> None:
    critic = Critic(3)
    critic.learn(*steps(200_000))
    features, rewards = steps(5, seed=1)
    torch.testing.assert_close(critic.expect(features), rewards, atol=2e-3, rtol=0)


def test_few_steps_are_believed_as_far_as_the_ridge_lets() -> None:
    critic = Critic(1)
    critic.learn(torch.zeros(50, 1), torch.ones(50))
    assert critic.expect(torch.zeros(1)).item() == pytest.approx(50 / (50 + RIDGE))


def test_an_older_batch_counts_less() -> None:
    critic = Critic(1)
    critic.learn(torch.zeros(1000, 1), torch.ones(1000))
    critic.learn(torch.zeros(1000, 1), torch.zeros(1000))
    assert critic.expect(torch.zeros(1)).item() == pytest.approx(900 / (1900 + RIDGE))
    assert MEMORY == 0.9


def test_one_that_takes_up_anothers_state_goes_on_as_it_would_have() -> None:
    first, second = Critic(3), Critic(3)
    first.learn(*steps(100))
    second.load(first.state())
    for critic in (first, second):
        critic.learn(*steps(100, seed=1))
    features, _ = steps(5, seed=2)
    assert torch.equal(first.expect(features), second.expect(features))


def test_the_state_of_another_width_is_refused() -> None:
    with pytest.raises(CheckpointError, match="start the run anew"):
        Critic(3).load(Critic(4).state())
