"""Laws of the policy and of distributions over actions."""

import math

import numpy as np
import pytest
import torch

from agents.parameters import parameter_count
from agents.policy import (
    CONFIGS,
    Policy,
    PolicyConfig,
    component_log_prob,
    config_of,
    entropy,
    kl_divergence,
    log_prob,
    sample,
    tempered,
)
from envs.errors import ActionError, OptionError

UNIFORM = 12 * math.log(2) + 4 * math.log(11)  # 17.909 nats


def three_to_one() -> torch.Tensor:
    """(1, 68) logits: A is pressed with probability 3/4, all else is uniform."""
    logits = torch.zeros(1, 68)
    logits[0, 1] = math.log(3)
    return logits


def action(*, a: int = 0, rest: int = 0) -> torch.Tensor:
    """(1, 16): button A, and every other component."""
    return torch.tensor([[a] + [rest] * 15])


@pytest.mark.parametrize(("size", "millions"), [("4m", 4.3), ("25m", 26.9), ("103m", 102.5)])
def test_a_size_has_the_papers_number_of_parameters_within_3_percent(size, millions):
    policy = Policy(config_of(size), torch.Generator().manual_seed(0))
    assert parameter_count(policy) == pytest.approx(millions * 1e6, rel=0.03)


def test_a_later_frame_changes_no_earlier_output(policy, frames):
    images = torch.from_numpy(frames(1, 6))
    with torch.no_grad():
        before = policy.logits(images)
        images[:, 4] = 255 - images[:, 4]
        after = policy.logits(images)
    assert before.shape == (1, 6, 68)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:], atol=1e-5)


def test_pre_training_reaches_every_parameter(policy, frames):
    parameters = policy.train_only("all")
    images = torch.from_numpy(frames(1, policy.config.context))
    torch.manual_seed(0)
    (policy.logits(images) * torch.randn(1, 8, 68)).sum().backward()
    assert len(parameters) == len(list(policy.parameters()))
    for name, parameter in policy.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_with_the_head_alone_nothing_else_gets_a_gradient(policy, frames):
    parameters = policy.train_only("head")
    policy.logits(torch.from_numpy(frames(1, 2))).sum().backward()
    with_gradient = {name for name, p in policy.named_parameters() if p.grad is not None}
    assert with_gradient == {"head.hidden.weight", "head.hidden.bias", "head.out.weight", "head.out.bias"}
    assert len(parameters) == 4
    assert len(policy.train_only("all")) > 4  # and it can be thawed


def test_a_seed_gives_the_weights_and_the_global_generator_is_left_alone(tiny):
    state = torch.get_rng_state()
    first, same, other = (Policy(tiny, torch.Generator().manual_seed(seed)).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["trunk.encoder.stem.weight"], other["trunk.encoder.stem.weight"])
    assert torch.equal(state, torch.get_rng_state())


def test_more_frames_than_the_context_are_refused(policy, frames):
    with pytest.raises(OptionError, match="up to 8"):
        policy.logits(torch.from_numpy(frames(1, 9)))


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(OptionError, match="4m, 25m, 103m"):
        config_of("7b")
    with pytest.raises(OptionError, match="heads divide"):
        PolicyConfig(width=100, heads=8)
    assert list(CONFIGS) == ["4m", "25m", "103m"]


def test_log_probability_sums_over_the_components():
    assert log_prob(torch.zeros(1, 68), action()).item() == pytest.approx(-UNIFORM)
    pressed = log_prob(three_to_one(), action(a=1)).item()
    assert pressed == pytest.approx(-UNIFORM + math.log(2) + math.log(3 / 4))
    assert log_prob(three_to_one(), action(a=0)).item() == pytest.approx(-UNIFORM + math.log(2) + math.log(1 / 4))


def test_each_component_reads_its_own_logits():
    # Logit i is -i: of a pair the second is 1 less, of eleven buckets each is 1 less than the one before.
    logits = -torch.arange(68.0)[None]
    result = component_log_prob(logits, torch.tensor([[1] * 12 + [0, 1, 5, 10]]))[0]
    pair = math.log(1 + math.exp(-1))
    eleven = math.log(sum(math.exp(-k) for k in range(11)))
    expected = [-1 - pair] * 12 + [-eleven, -1 - eleven, -5 - eleven, -10 - eleven]
    torch.testing.assert_close(result, torch.tensor(expected))


def test_entropy_and_kl_divergence_agree_with_numbers_worked_by_hand():
    assert entropy(torch.zeros(2, 68)).tolist() == pytest.approx([UNIFORM] * 2)
    button = -(3 / 4 * math.log(3 / 4) + 1 / 4 * math.log(1 / 4))  # 0.5623
    assert entropy(three_to_one()).item() == pytest.approx(UNIFORM - math.log(2) + button, abs=1e-4)
    divergence = 3 / 4 * math.log(3 / 2) + 1 / 4 * math.log(1 / 2)  # 0.1308
    assert kl_divergence(three_to_one(), torch.zeros(1, 68)).item() == pytest.approx(divergence, abs=1e-5)
    assert kl_divergence(three_to_one(), three_to_one()).item() == 0.0


def test_half_the_temperature_squares_the_odds():
    probability = log_prob(tempered(three_to_one(), 0.5), action(a=1)).exp() * math.exp(UNIFORM - math.log(2))
    assert probability.item() == pytest.approx(9 / 10, rel=1e-4)
    with pytest.raises(OptionError, match="above 0"):
        tempered(three_to_one(), 0.0)


def test_samples_have_the_frequencies_of_the_distribution():
    count = 20_000
    logits = three_to_one()
    logits[0, 24:35] = torch.log(torch.arange(1.0, 12.0))  # LX: bucket k with probability (k + 1) / 66
    samples = sample(logits.expand(count, -1), torch.Generator().manual_seed(0)).numpy()
    assert samples.dtype == np.uint8
    assert samples.shape == (count, 16)
    assert samples[:, 0].mean() == pytest.approx(3 / 4, abs=0.012)  # 4 standard errors
    assert samples[:, 1].mean() == pytest.approx(1 / 2, abs=0.014)
    expected = np.arange(1, 12) / 66
    np.testing.assert_allclose(np.bincount(samples[:, 12], minlength=11) / count, expected, atol=0.012)
    np.testing.assert_allclose(np.bincount(samples[:, 15], minlength=11) / count, 1 / 11, atol=0.009)


def test_a_generator_gives_the_samples():
    draws = [sample(torch.zeros(5, 68), torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("actions", [action(a=2), action(a=-1), torch.tensor([[0] * 15 + [11]]), torch.zeros(1, 15)])
def test_an_action_outside_its_component_is_refused(actions):
    with pytest.raises(ActionError):
        log_prob(torch.zeros(1, 68), actions)
