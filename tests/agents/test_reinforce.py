"""Laws of REINFORCE, with numbers worked by hand."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from agents.critic import Critic
from agents.policy import Head, log_prob
from agents.reinforce import (
    EpisodeBatch,
    ReinforceConfig,
    Update,
    advantages,
    followed_by,
    importance_weights,
    less_the_others,
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


def update(head: Head, optimizer: torch.optim.Optimizer, batch: EpisodeBatch, config: ReinforceConfig) -> Update:
    """One update with `new_head` as the reference and a critic that knows nothing."""
    return update_head(head, new_head(), optimizer, batch, config, Critic(WIDTH))


def step(batch: EpisodeBatch, config: ReinforceConfig, **options: bool) -> tuple[Head, Tensor]:
    """A head after an update by plain gradient descent of rate 1, and the change of its output biases."""
    head, reference = new_head(), new_head()
    optimizer = torch.optim.SGD(head.parameters(), lr=1.0)
    update_head(head, reference, optimizer, batch, config, Critic(WIDTH), **options)
    return head, (head.out.bias - reference.out.bias).detach()


FREE = ReinforceConfig(clip=1e9)


def test_a_trajectory_reward_reaches_every_step_and_no_padding() -> None:
    log_probs = torch.tensor([[-1.0, -2.0, -9.0], [-3.0, -4.0, -5.0]], requires_grad=True)
    played = torch.tensor([[True, True, False], [True, True, True]])
    loss = reinforce_loss(log_probs, played, torch.tensor([[1.0], [0.5]]))
    assert loss.item() == pytest.approx((1 * 3 + 0.5 * 12) / 2)
    torch.autograd.backward(loss)
    assert log_probs.grad is not None
    assert log_probs.grad.tolist() == [[-0.5, -0.5, 0.0], [-0.25, -0.25, -0.25]]


def test_a_batch_that_lost_two_episodes_divides_by_14() -> None:
    log_probs = torch.full((14, 1), -1.0)
    loss = reinforce_loss(log_probs, torch.ones(14, 1, dtype=torch.bool), torch.arange(14.0)[:, None])
    assert loss.item() == pytest.approx(sum(range(14)) / 14)


def test_the_baseline_is_the_mean_of_the_others() -> None:
    # Of 1, 0 and 0.5: less 0.25, 0.75 and 0.5.
    assert less_the_others(torch.tensor([1.0, 0.0, 0.5])).tolist() == [0.75, -0.75, 0.0]
    assert less_the_others(torch.tensor([0.7])).tolist() == pytest.approx([0.7])
    batch = replace(episodes(3), rewards=torch.tensor([1.0, 0.0, 0.5]))
    for baseline, expected in (("none", [1.0, 0.0, 0.5]), ("leave_one_out", [0.75, -0.75, 0.0])):
        every_step = advantages(batch, replace(FREE, baseline=baseline), Critic(WIDTH))
        assert every_step.tolist() == [[value] * 5 for value in expected]


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
            advantage = (rewards if baseline == "none" else less_the_others(rewards))[:, None]
            loss = reinforce_loss(log_probs, torch.ones(2, 1, dtype=torch.bool), advantage)
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
    assert (change * less_the_others(batch.rewards)).sum() > 0


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


def test_weights_are_the_ratio_of_the_chances_and_nothing_once_it_has_gone_far_enough() -> None:
    then, now = torch.log(torch.tensor([[0.25] * 4])), torch.log(torch.tensor([[0.275, 0.5, 0.5, 0.125]]))
    good, bad = torch.ones(1, 4), -torch.ones(1, 4)
    assert importance_weights(now, then, good, 0.2)[0].tolist() == pytest.approx([1.1, 0.0, 0.0, 0.5])
    assert importance_weights(now, then, bad, 0.2)[0].tolist() == pytest.approx([1.1, 2.0, 2.0, 0.0])


def test_the_gradient_of_a_weighted_batch_is_the_clipped_surrogates() -> None:
    batch = episodes()
    older = replace(batch, log_probs=batch.log_probs + torch.linspace(-0.4, 0.4, 20).view(4, 5))
    head = new_head()
    advantage = less_the_others(batch.rewards)[:, None]
    ratio = (log_prob(head.logits(batch.features), batch.actions) - older.log_probs).exp()
    surrogate = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
    torch.autograd.backward(-(surrogate * batch.played).sum(1).mean())
    assert head.out.bias.grad is not None
    _, change = step(older, replace(FREE, baseline="leave_one_out"), stale=True)
    torch.testing.assert_close(change, -head.out.bias.grad)


def test_a_second_pass_learns_less_from_the_same_batch() -> None:
    batch, head = episodes(), new_head()
    config = replace(FREE, baseline="leave_one_out")
    once = update(head, torch.optim.SGD(head.parameters(), lr=0.1), batch, config)
    head = new_head()
    thrice = update(head, torch.optim.SGD(head.parameters(), lr=0.1), batch, replace(config, passes=3))
    assert once.weight == pytest.approx(1.0)
    assert thrice.weight != pytest.approx(1.0, abs=1e-3)
    assert thrice.gradient_norm < once.gradient_norm


def test_an_action_is_credited_with_what_changed_after_it() -> None:
    expected = torch.tensor([[0.5, 0.7, 0.2], [0.4, 0.6, 9.0]])  # the second ends after two steps
    rewards, steps = torch.tensor([1.0, 0.0]), torch.tensor([3, 2])
    at_once = followed_by(expected, rewards, steps, 0.0)
    torch.testing.assert_close(at_once, torch.tensor([[0.2, -0.5, 0.8], [0.2, -0.6, 0.0]]))
    to_the_end = followed_by(expected, rewards, steps, 1.0)
    torch.testing.assert_close(to_the_end, torch.tensor([[0.5, 0.3, 0.8], [-0.4, -0.6, 0.0]]))
    half = followed_by(expected, rewards, steps, 0.5)
    torch.testing.assert_close(half, torch.tensor([[0.2 - 0.25 + 0.2, -0.5 + 0.4, 0.8], [0.2 - 0.3, -0.6, 0.0]]))


def test_credit_by_a_critic_is_in_units_of_reward() -> None:
    batch = episodes()
    critic = Critic(WIDTH)
    critic.learn(batch.features[batch.played], torch.rand(int(batch.played.sum())))
    credit = advantages(batch, replace(FREE, baseline="value"), critic)
    expected = followed_by(critic.expect(batch.features), batch.rewards, batch.steps, FREE.trace)
    assert torch.equal(credit, expected)


def test_the_critic_learns_a_batch_after_it_was_used() -> None:
    batch, critic, head = episodes(), Critic(WIDTH), new_head()
    update_head(head, new_head(), torch.optim.SGD(head.parameters(), lr=0.1), batch, FREE, critic)
    same = Critic(WIDTH)
    same.learn(batch.features[batch.played], batch.rewards[:, None].expand(4, 5)[batch.played])
    assert torch.equal(critic.expect(batch.features), same.expect(batch.features))


def test_weights_are_used_for_episodes_of_an_older_head_alone() -> None:
    batch = episodes()
    older = replace(batch, log_probs=batch.log_probs - math.log(2.0))  # now twice as likely
    assert torch.equal(step(batch, FREE)[1], step(older, FREE)[1])
    wide = replace(FREE, trust=5.0)
    torch.testing.assert_close(step(older, wide, stale=True)[1], 2 * step(batch, FREE)[1], rtol=1e-3, atol=1e-4)


def test_divergence_from_the_reference_holds_the_head_back() -> None:
    batch = episodes()
    head = new_head()
    with torch.no_grad():
        head.out.bias[0] += 2.0
    optimizer = torch.optim.SGD(head.parameters(), lr=0.02)
    still = replace(batch, rewards=torch.zeros(4))
    before = update(head, optimizer, still, replace(FREE, kl=1.0))
    after = update(head, optimizer, still, replace(FREE, kl=1.0))
    assert before.kl > after.kl > 0
    plain = update(new_head(), torch.optim.SGD(new_head().parameters(), lr=0.1), still, FREE)
    assert (plain.kl, plain.weight) == pytest.approx((0.0, 1.0))


def test_an_entropy_bonus_spreads_the_distribution() -> None:
    batch, head = replace(episodes(), rewards=torch.zeros(4)), new_head()
    optimizer = torch.optim.SGD(head.parameters(), lr=0.01)
    first = update(head, optimizer, batch, replace(FREE, entropy=1.0))
    second = update(head, optimizer, batch, replace(FREE, entropy=1.0))
    assert second.entropy > first.entropy


def test_a_loss_that_is_not_a_number_leaves_the_weights() -> None:
    head = new_head()
    optimizer = torch.optim.SGD(head.parameters(), lr=1.0)
    batch = replace(episodes(), rewards=torch.tensor([0.0, 1.0, math.nan, 0.0]))
    with pytest.raises(DivergedError, match="lower the learning rate"):
        update(head, optimizer, batch, FREE)
    assert torch.equal(head.out.bias, new_head().out.bias)


def test_what_does_not_fit_is_refused() -> None:
    batch = episodes()
    with pytest.raises(DataError, match="do not go with"):
        replace(batch, rewards=torch.zeros(3))
    with pytest.raises(OptionError, match="batch and passes of 1 or more"):
        ReinforceConfig(batch_size=0)
    with pytest.raises(OptionError, match="weights of 0 or more"):
        ReinforceConfig(kl=-1.0)
    with pytest.raises(OptionError, match="the baselines are none, leave_one_out, value"):
        ReinforceConfig(baseline="guess")  # pyright: ignore[reportArgumentType]


def test_the_defaults_are_the_papers() -> None:
    config = ReinforceConfig()
    assert (config.batch_size, config.learning_rate, config.baseline) == (16, 1e-4, "none")
    assert (config.kl, config.entropy, config.passes) == (0.0, 0.0, 1)
