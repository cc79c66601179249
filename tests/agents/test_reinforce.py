"""Laws of REINFORCE, with numbers worked by hand."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from agents.policy import Head, log_prob
from agents.reinforce import (
    EpisodeBatch,
    ReinforceConfig,
    advantages,
    importance_weights,
    reinforce_loss,
    update_head,
)
from envs.errors import DataError, DivergedError, OptionError

WIDTH = 8


def new_head(seed: int = 0) -> Head:
    """The same head every time."""
    return Head(WIDTH, torch.Generator().manual_seed(seed))


def episodes(count: int = 4, time: int = 5, seed: int = 0) -> EpisodeBatch:
    """Episodes of 2 steps and more, played by `new_head`, of rewards 0 to 1."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, time, WIDTH, generator=generator)
    actions = torch.randint(0, 2, (count, time, 16), dtype=torch.uint8, generator=generator)
    steps = torch.arange(count) % (time - 1) + 2
    with torch.no_grad():
        log_probs = log_prob(new_head().logits(features), actions)
    return EpisodeBatch(features, actions, log_probs, steps, torch.linspace(0, 1, count))


def step(batch: EpisodeBatch, config: ReinforceConfig, **options: bool) -> tuple[Head, Tensor]:
    """A head after an update by plain gradient descent of rate 1, and the change of its output biases."""
    head, reference = new_head(), new_head()
    optimizer = torch.optim.SGD(head.parameters(), lr=1.0)
    update_head(head, reference, optimizer, batch, config, **options)
    return head, (head.out.bias - reference.out.bias).detach()


FREE = ReinforceConfig(clip=1e9)


def test_a_trajectory_reward_reaches_every_step_and_no_padding() -> None:
    log_probs = torch.tensor([[-1.0, -2.0, -9.0], [-3.0, -4.0, -5.0]], requires_grad=True)
    played = torch.tensor([[True, True, False], [True, True, True]])
    loss = reinforce_loss(log_probs, played, torch.tensor([1.0, 0.5]))
    assert loss.item() == pytest.approx((1 * 3 + 0.5 * 12) / 2)
    torch.autograd.backward(loss)
    assert log_probs.grad is not None
    assert log_probs.grad.tolist() == [[-0.5, -0.5, 0.0], [-0.25, -0.25, -0.25]]


def test_a_batch_that_lost_two_episodes_divides_by_14() -> None:
    log_probs = torch.full((14, 1), -1.0)
    loss = reinforce_loss(log_probs, torch.ones(14, 1, dtype=torch.bool), torch.arange(14.0))
    assert loss.item() == pytest.approx(sum(range(14)) / 14)


def test_the_baseline_is_the_mean_of_the_others() -> None:
    # Of 1, 0 and 0.5: less 0.25, 0.75 and 0.5.
    assert advantages(torch.tensor([1.0, 0.0, 0.5]), "leave_one_out").tolist() == [0.75, -0.75, 0.0]
    assert advantages(torch.tensor([1.0, 0.0, 0.5]), "none").tolist() == [1.0, 0.0, 0.5]
    assert advantages(torch.tensor([0.7]), "leave_one_out").tolist() == pytest.approx([0.7])


def test_a_baseline_leaves_the_expected_gradient_as_it_is() -> None:
    """Two arms, pulled twice with chance p and 1 - p; the first pays 1, the second 0.25: all four outcomes summed."""
    score = torch.tensor(0.3, requires_grad=True)  # p = sigmoid(score)
    chance = torch.sigmoid(score)
    gradients = {}
    for baseline in ("none", "leave_one_out"):
        total = torch.tensor(0.0)
        for arms in ((0, 0), (0, 1), (1, 0), (1, 1)):
            probabilities = torch.stack([chance if arm == 0 else 1 - chance for arm in arms])
            rewards = torch.tensor([1.0 if arm == 0 else 0.25 for arm in arms])
            log_probs = probabilities.log().unsqueeze(1)
            loss = reinforce_loss(log_probs, torch.ones(2, 1, dtype=torch.bool), advantages(rewards, baseline))
            total = total + probabilities.detach().prod() * loss
        gradients[baseline] = torch.autograd.grad(total, score, retain_graph=True)[0].item()
    p = 1 / (1 + math.exp(-0.3))
    assert gradients["none"] == pytest.approx(-(1 - 0.25) * p * (1 - p))  # minus the derivative of the expected reward
    assert gradients["leave_one_out"] == pytest.approx(gradients["none"])


def test_an_update_makes_what_was_rewarded_likelier_and_the_rest_less_so_with_a_baseline() -> None:
    batch = episodes()
    head, _ = step(batch, replace(FREE, baseline="leave_one_out", clip=0.01))
    with torch.no_grad():
        change = ((log_prob(head.logits(batch.features), batch.actions) - batch.log_probs) * batch.played).sum(1)
    assert (change * advantages(batch.rewards, "leave_one_out")).sum() > 0


def test_the_gradient_is_autograds() -> None:
    batch = episodes()
    head = new_head()
    loss = -(batch.rewards[:, None] * log_prob(head.logits(batch.features), batch.actions) * batch.played).sum() / 4
    torch.autograd.backward(loss)
    assert head.out.bias.grad is not None
    _, change = step(batch, FREE)
    torch.testing.assert_close(change, -head.out.bias.grad)


def test_what_lies_after_the_end_changes_nothing() -> None:
    batch = episodes()
    features = batch.features.clone()
    features[~batch.played] = 5.0
    assert torch.equal(step(batch, FREE)[1], step(replace(batch, features=features), FREE)[1])


def test_weights_are_the_ratio_of_the_chances_and_bounded() -> None:
    now, then = torch.log(torch.tensor([[0.5, 0.9, 0.1]])), torch.log(torch.tensor([[0.25, 0.1, 0.2]]))
    assert importance_weights(now, then, 3.0).tolist()[0] == pytest.approx([2.0, 3.0, 0.5])


def test_weights_are_used_for_episodes_of_an_older_head_alone() -> None:
    batch = episodes()
    older = replace(batch, log_probs=batch.log_probs - math.log(2.0))  # now twice as likely
    assert torch.equal(step(batch, FREE)[1], step(older, FREE)[1])
    torch.testing.assert_close(step(older, FREE, stale=True)[1], 2 * step(batch, FREE)[1], rtol=1e-3, atol=1e-4)


def test_divergence_from_the_reference_holds_the_head_back() -> None:
    batch = episodes()
    reference, head = new_head(), new_head()
    with torch.no_grad():
        head.out.bias[0] += 2.0
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    still = replace(batch, rewards=torch.zeros(4))
    before = update_head(head, reference, optimizer, still, replace(FREE, kl=1.0))
    after = update_head(head, reference, optimizer, still, replace(FREE, kl=1.0))
    assert before.kl > after.kl > 0
    plain = update_head(new_head(), reference, torch.optim.SGD(new_head().parameters(), lr=0.1), still, FREE)
    assert (plain.kl, plain.weight) == pytest.approx((0.0, 1.0))


def test_an_entropy_bonus_spreads_the_distribution() -> None:
    batch, head = replace(episodes(), rewards=torch.zeros(4)), new_head()
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    first = update_head(head, new_head(), optimizer, batch, replace(FREE, entropy=1.0))
    second = update_head(head, new_head(), optimizer, batch, replace(FREE, entropy=1.0))
    assert second.entropy > first.entropy


def test_a_loss_that_is_not_a_number_leaves_the_weights() -> None:
    head = new_head()
    optimizer = torch.optim.SGD(head.parameters(), lr=1.0)
    batch = replace(episodes(), rewards=torch.tensor([0.0, 1.0, math.nan, 0.0]))
    with pytest.raises(DivergedError, match="lower the learning rate"):
        update_head(head, new_head(), optimizer, batch, FREE)
    assert torch.equal(head.out.bias, new_head().out.bias)


def test_what_does_not_fit_is_refused() -> None:
    batch = episodes()
    with pytest.raises(DataError, match="do not go with"):
        replace(batch, rewards=torch.zeros(3))
    with pytest.raises(OptionError, match="batch of 1 or more"):
        ReinforceConfig(batch_size=0)
    with pytest.raises(OptionError, match="weights of 0 or more"):
        ReinforceConfig(kl=-1.0)


def test_the_defaults_are_the_papers() -> None:
    config = ReinforceConfig()
    assert (config.batch_size, config.learning_rate, config.baseline) == (16, 1e-4, "none")
    assert (config.kl, config.entropy) == (0.0, 0.0)
