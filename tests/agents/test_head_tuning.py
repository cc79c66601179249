"""Laws of preference fine-tuning."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from agents.head_tuning import HeadTuningConfig, best, tune_head
from agents.policy import Head, Policy, log_prob
from envs.errors import DataError, DivergedError, OptionError

WIDTH = 8
CONFIG = HeadTuningConfig(updates=20, batch_size=64, learning_rate=1e-3)


def new_head(seed: int = 0) -> Head:
    """The same head every time."""
    return Head(WIDTH, torch.Generator().manual_seed(seed))


def steps(count: int = 50, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Features of noise, and A pressed where the first of them is positive; the sticks are left at their lowest."""
    features = torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed))
    actions = torch.zeros(count, 16, dtype=torch.uint8)
    actions[:, 0] = features[:, 0] > 0
    return features, actions


def tuned(config: HeadTuningConfig = CONFIG, seed: int = 0) -> Head:
    """A head after tuning on `steps`."""
    head = new_head(seed)
    list(tune_head(head, *steps(), config))
    return head


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    """Bit for bit."""
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize(
    ("share", "chosen"),
    [(0.2, [3]), (0.4, [3, 1]), (0.5, [3, 1]), (0.6, [3, 1, 0]), (1.0, [3, 1, 0, 4, 2]), (1e-9, [3])],
)
def test_the_best_share_is_chosen_best_first_and_one_at_least(share: float, chosen: list[int]) -> None:
    assert best(torch.tensor([0.5, 0.8, 0.1, 0.9, 0.3]), share).tolist() == chosen


def test_of_equals_the_earlier_one_is_chosen() -> None:
    many = torch.tensor([0.5, 1.0] * 20)
    assert best(many, 0.25).tolist() == list(range(1, 20, 2))
    assert best(many, 1.0).tolist() == [*range(1, 40, 2), *range(0, 40, 2)]


@pytest.mark.parametrize("share", [0.0, -0.2, 1.01, math.nan])
def test_a_share_that_cannot_be_is_refused(share: float) -> None:
    with pytest.raises(OptionError, match="above 0 and up to 1"):
        best(torch.tensor([0.5, 0.8]), share)


def test_tuning_makes_what_was_done_likelier() -> None:
    features, actions = steps()
    losses = list(tune_head(new_head(), features, actions, CONFIG))
    assert len(losses) == CONFIG.updates
    assert losses[-1] < 0.8 * losses[0]
    before, after = (log_prob(head.logits(features), actions).mean() for head in (new_head(), tuned()))
    assert after > before + 1


def test_the_first_loss_is_minus_the_mean_log_probability_of_a_component() -> None:
    features, actions = steps(1)  # drawn with replacement: the one step, again and again
    loss = next(tune_head(new_head(), features, actions, CONFIG))
    with torch.no_grad():
        logits = new_head().logits(features)[0]
    buttons = [logits[2 * k : 2 * k + 2].softmax(0)[int(actions[0, k])] for k in range(12)]
    axes = [logits[24 + 11 * k : 35 + 11 * k].softmax(0)[int(actions[0, 12 + k])] for k in range(4)]
    expected = -sum(math.log(chance) for chance in (*buttons, *axes)) / 16
    assert loss == pytest.approx(expected, rel=1e-5)


def test_a_head_that_knows_nothing_starts_at_the_entropy_of_a_guess() -> None:
    head = new_head()
    with torch.no_grad():
        head.out.weight.zero_()
    loss = next(tune_head(head, *steps(), CONFIG))
    assert loss == pytest.approx((12 * math.log(2) + 4 * math.log(11)) / 16, rel=1e-5)


def test_a_batch_is_drawn_from_all_steps() -> None:
    """Of two steps, each alone gives one of the losses that a batch of one step can have."""
    features, actions = steps(2)
    single = [
        next(tune_head(new_head(), features[k : k + 1], actions[k : k + 1], replace(CONFIG, batch_size=1)))
        for k in range(2)
    ]
    drawn = {
        round(next(tune_head(new_head(), features, actions, replace(CONFIG, batch_size=1, seed=seed))), 5)
        for seed in range(12)
    }
    assert drawn == {round(loss, 5) for loss in single}


def test_the_head_changes_and_the_trunk_does_not(policy: Policy) -> None:
    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    features = torch.randn(30, policy.config.width, generator=torch.Generator().manual_seed(1))
    list(tune_head(policy.head, features, steps(30)[1], CONFIG))
    changed = {name for name, tensor in policy.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"head.hidden.weight", "head.hidden.bias", "head.out.weight", "head.out.bias"}
    assert all(parameter.grad is None for parameter in policy.trunk.parameters())


def test_a_head_that_was_frozen_is_tuned_all_the_same() -> None:
    head = new_head().requires_grad_(False)
    list(tune_head(head, *steps(), CONFIG))
    assert same(head, tuned())


def test_features_in_16_bit_are_learnt_from_in_32() -> None:
    features, actions = steps()
    halves, singles = new_head(), new_head()
    list(tune_head(halves, features.half(), actions, CONFIG))
    list(tune_head(singles, features.half().float(), actions, CONFIG))
    assert same(halves, singles)
    assert halves.out.weight.dtype == torch.float32


def test_a_seed_gives_the_weights() -> None:
    assert same(tuned(), tuned())
    assert not same(tuned(), tuned(replace(CONFIG, seed=1)))


def test_features_that_are_no_numbers_stop_it_and_leave_the_weights() -> None:
    features, actions = steps()
    features[7, 3] = math.nan
    head = new_head()
    with pytest.raises(DivergedError, match="update 1 has loss nan; lower the learning rate"):
        list(tune_head(head, features, actions, replace(CONFIG, batch_size=1000)))
    assert same(head, new_head())


def test_steps_without_an_action_and_no_steps_at_all_are_refused() -> None:
    features, actions = steps()
    with pytest.raises(DataError, match="have an action each, got 50 and 49"):
        list(tune_head(new_head(), features, actions[1:], CONFIG))
    with pytest.raises(DataError, match="have an action each, got 0 and 0"):
        list(tune_head(new_head(), features[:0], actions[:0], CONFIG))


@pytest.mark.parametrize(
    "wrong",
    [{"updates": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"clip": 0.0}, {"weight_decay": -1e-4}],
    ids=str,
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="counts of 1 or more"):
        HeadTuningConfig(**wrong)


def test_the_defaults_are_the_papers() -> None:
    config = HeadTuningConfig()
    assert (config.updates, config.batch_size, config.learning_rate, config.weight_decay) == (1000, 8192, 1e-5, 1e-4)
