"""Laws of imitation learning."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from agents.checkpoint import load_policy
from agents.imitation import (
    FINETUNE,
    PREFERENCE_FINETUNE,
    PRETRAIN,
    Batch,
    ImitationConfig,
    accumulate,
    average,
    component_losses,
    counted,
    evaluate,
    learning_rate,
    losses_of,
    policy_logits,
    train,
)
from agents.parallel import Replicas
from agents.policy import Policy
from envs.errors import CheckpointError, DataError, DivergedError, OptionError
from envs.gamepad import NOOP, SIZES

WINDOWS, STEPS = 4, 8
UNIFORM = 12 * math.log(2) + 4 * math.log(11)


def make_batch(frames, seed: int = 0) -> Batch:
    """Four windows of eight frames with random actions; every step counts."""
    actions = np.random.default_rng(seed).integers(0, SIZES, (WINDOWS, STEPS, 16)).astype(np.uint8)
    images = torch.from_numpy(frames(WINDOWS, STEPS, seed=seed))
    return Batch(images, torch.from_numpy(actions), torch.ones(WINDOWS, STEPS, dtype=torch.bool))


def settings(**changes) -> ImitationConfig:
    """A short run in float32."""
    values = {
        "updates": 5,
        "batch_size": WINDOWS,
        "micro_batch": 3,
        "learning_rate": 1e-3,
        "warm_up": 2,
        "precision": "float32",
        "checkpoint_every": 2,
    }
    return ImitationConfig(**values | changes)


def source_of(frames):
    """Batch k is drawn from seed k, whatever came before."""

    def source(start: int) -> Iterator[Batch]:
        for seed in range(start, 100):
            yield make_batch(frames, seed)

    return source


def new_policy(tiny, seed: int = 0) -> Policy:
    """A tiny policy from a seed."""
    return Policy(tiny, torch.Generator().manual_seed(seed))


def test_the_presets_are_the_papers():
    assert (PRETRAIN.batch_size, PRETRAIN.learning_rate, PRETRAIN.weight_decay) == (256, 1e-4, 1e-4)
    assert (PRETRAIN.warm_up, PRETRAIN.clip, PRETRAIN.schedule, PRETRAIN.part) == (1000, 1.0, "constant", "all")
    assert (FINETUNE.updates, FINETUNE.batch_size, FINETUNE.learning_rate, FINETUNE.warm_up) == (1500, 128, 1e-6, 200)
    preference = PREFERENCE_FINETUNE
    assert (preference.updates, preference.batch_size, preference.learning_rate) == (1000, 256, 1e-5)
    assert preference.part == "head"


def test_the_loss_of_a_uniform_policy_is_the_entropy_of_a_uniform_action(frames):
    batch = make_batch(frames)
    losses = losses_of(component_losses(torch.zeros(WINDOWS, STEPS, 68), batch), WINDOWS * STEPS)
    assert losses.action == pytest.approx(UNIFORM)  # 17.909
    assert losses.component == pytest.approx(UNIFORM / 16)
    assert losses.button == pytest.approx(math.log(2))
    assert losses.axis == pytest.approx(math.log(11))


def test_no_ops_and_padding_do_not_count():
    actions = torch.as_tensor(NOOP.copy()).repeat(1, 4, 1)
    actions[0, 1, 0] = 1  # a button
    actions[0, 2, 13] = 6  # a stick
    actions[0, 3, 0] = 1
    valid = torch.tensor([[True, True, True, False]])
    assert counted(actions, valid).tolist() == [[False, True, True, False]]


def test_a_step_that_does_not_count_changes_nothing_but_the_context(policy, frames):
    batch = make_batch(frames)
    mask = batch.counted.clone()
    mask[:, 2::3] = False
    other = batch.actions.clone()
    other[~mask] = 0
    results = []
    for actions in (batch.actions, other):
        policy.zero_grad()
        losses = accumulate(Replicas(policy, 1), Batch(batch.frames, actions, mask), settings())
        results.append((losses, policy.head.out.weight.grad))
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1])
    frame = batch.frames.clone()
    frame[:, 2] = 0
    assert accumulate(Replicas(policy, 1), Batch(frame, batch.actions, mask), settings()) != results[0][0]


def test_a_gradient_is_the_same_however_the_batch_is_cut(tiny, frames):
    batch = make_batch(frames)
    batch.counted[0, :5] = False  # the parts hold different numbers of steps that count
    gradients = []
    for size in (1, 3, 4):
        policy = new_policy(tiny)
        accumulate(Replicas(policy, 1), batch, settings(micro_batch=size))
        gradients.append(torch.cat([p.grad.flatten() for p in policy.parameters() if p.grad is not None]))
    for gradient in gradients[1:]:
        torch.testing.assert_close(gradient, gradients[0], rtol=1e-3, atol=1e-5)


def test_training_the_head_leaves_the_trunk_as_it_was(tiny, frames, tmp_path):
    policy = new_policy(tiny)
    before = {name: p.detach().clone() for name, p in policy.named_parameters()}
    list(train(policy, source_of(frames), settings(part="head"), tmp_path))
    changed = {name for name, p in policy.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {name for name in before if name.startswith("head.")}


def test_training_the_head_in_bfloat16_computes_only_the_features_in_it(policy, frames):
    batch = make_batch(frames)
    logits = policy_logits(policy, batch.frames, "head", torch.bfloat16)
    with torch.no_grad():
        features = policy.trunk.features(batch.frames, torch.bfloat16)
        assert torch.equal(logits, policy.head.logits(features.float()))


def test_the_learning_rate_warms_up_and_then_stays_or_falls_to_zero():
    constant = settings(learning_rate=1.0, warm_up=4, updates=24)
    assert [learning_rate(constant, k) for k in (0, 1, 3, 4, 23)] == [0.25, 0.5, 1.0, 1.0, 1.0]
    cosine = settings(learning_rate=1.0, warm_up=4, updates=24, schedule="cosine")
    expected = [0.25, 1.0, 0.5, (1 - math.sqrt(0.5)) / 2]
    assert [learning_rate(cosine, k) for k in (0, 4, 14, 19)] == pytest.approx(expected)


def test_four_episodes_can_be_learnt_by_heart(tiny, frames, tmp_path):
    batch = make_batch(frames)
    config = settings(updates=60, learning_rate=2e-3, warm_up=10, precision="auto", checkpoint_every=60)
    metrics = list(train(new_policy(tiny), lambda start: [batch] * (60 - start), config, tmp_path))
    assert metrics[0].losses.component == pytest.approx(UNIFORM / 16, rel=0.1)
    assert metrics[-1].losses.component < 0.05
    assert [m.update for m in metrics] == list(range(1, 61))
    assert all(m.frames_per_second > 0 and m.gradient_norm > 0 for m in metrics)


def test_a_mean_of_weights_counts_later_ones_more_as_far_as_its_exponent_says(tiny):
    policies = [new_policy(tiny, seed) for seed in (1, 2, 3)]
    for exponent, shares in ((0.0, (1 / 3, 1 / 3, 1 / 3)), (1.0, (1 / 6, 2 / 6, 3 / 6)), (2.0, (0.1, 0.3, 0.6))):
        mean = new_policy(tiny, seed=9)  # of which nothing is left
        for done, policy in enumerate(policies, 1):
            average(mean, policy, done, exponent)
        for found, *weights in zip(mean.parameters(), *(policy.parameters() for policy in policies), strict=True):
            expected = sum(share * weight for share, weight in zip(shares, weights, strict=True))
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_with_averaging_the_policy_is_the_mean_of_what_is_trained(tiny, frames, tmp_path):
    trained, mean, expected = new_policy(tiny), new_policy(tiny), new_policy(tiny)
    without = train(trained, source_of(frames), settings(), tmp_path / "without")
    averaged = train(mean, source_of(frames), settings(averaging=2.0), tmp_path / "with")
    for plain, metrics in zip(without, averaged, strict=True):
        assert metrics.losses == plain.losses  # averaging changes nothing that is trained
        average(expected, trained, metrics.update, 2.0)
        for found, parameter in zip(mean.parameters(), expected.parameters(), strict=True):
            assert torch.equal(found, parameter)
    kept, _ = load_policy(tmp_path / "with" / "policy.safetensors")
    for (name, a), b, c in zip(kept.named_parameters(), mean.parameters(), trained.parameters(), strict=True):
        assert torch.equal(a, b), name
        assert not torch.equal(a, c), name


AVERAGING = pytest.mark.parametrize("averaging", [None, 2.0])


@AVERAGING
def test_a_run_that_was_killed_ends_in_the_same_weights_bit_for_bit(tiny, frames, tmp_path, averaging):
    config = settings(precision="auto", averaging=averaging)
    whole = new_policy(tiny)
    expected = list(train(whole, source_of(frames), config, tmp_path / "whole"))
    killed = train(new_policy(tiny), source_of(frames), config, tmp_path / "killed")
    for _ in range(3):  # the third update is lost: checkpoints are made after 2 and 4
        next(killed)
    killed.close()
    resumed = new_policy(tiny, seed=9)
    rest = list(train(resumed, source_of(frames), config, tmp_path / "killed"))
    assert [m.update for m in rest] == [3, 4, 5]
    assert [m.losses for m in rest] == [m.losses for m in expected[2:]]
    for (name, a), b in zip(resumed.named_parameters(), whole.parameters(), strict=True):
        assert torch.equal(a, b), name
    assert not list(train(resumed, source_of(frames), config, tmp_path / "killed"))


@AVERAGING
@pytest.mark.parametrize("updates", [3, 4])
def test_a_run_killed_between_the_two_files_of_a_checkpoint_goes_on_from_its_newer_one(
    tiny, frames, tmp_path, monkeypatch, updates, averaging
):
    config = settings(averaging=averaging)
    shorter = settings(updates=updates, averaging=averaging)
    whole, resumed = new_policy(tiny), new_policy(tiny)
    list(train(whole, source_of(frames), config, tmp_path / "whole"))
    run = train(new_policy(tiny), source_of(frames), shorter, tmp_path / "killed")
    for _ in range(updates):
        next(run)
    with monkeypatch.context() as patch:

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr("agents.checkpoint.save_policy", killed)
        with pytest.raises(KeyboardInterrupt):
            next(run)
    assert load_policy(tmp_path / "killed" / "policy.safetensors")[1]["done"] == 2
    assert list(train(resumed, source_of(frames), shorter, tmp_path / "killed")) == []
    assert load_policy(tmp_path / "killed" / "policy.safetensors")[1]["done"] == updates
    list(train(resumed, source_of(frames), config, tmp_path / "killed"))
    for (name, a), b in zip(resumed.named_parameters(), whole.parameters(), strict=True):
        assert torch.equal(a, b), name


def test_only_the_last_checkpoint_is_kept_and_it_says_how_it_came_about(tiny, frames, tmp_path):
    list(train(new_policy(tiny), source_of(frames), settings(), tmp_path, {"stage": "test"}, {"data": "made up"}))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["policy.safetensors", "training-00000005.safetensors"]
    _, header = load_policy(tmp_path / "policy.safetensors")
    assert (header["done"], header["updates"], header["data"]) == (5, 5, "made up")
    assert (header["training"]["learning_rate"], header["training"]["stage"]) == (1e-3, "test")


def test_a_folder_with_another_run_is_refused_and_a_longer_run_goes_on(tiny, frames, tmp_path):
    list(train(new_policy(tiny), source_of(frames), settings(updates=2), tmp_path))
    with pytest.raises(CheckpointError, match="learning_rate, weight_decay"):
        next(train(new_policy(tiny), source_of(frames), settings(learning_rate=1.0, weight_decay=0.5), tmp_path))
    rest = list(train(new_policy(tiny), source_of(frames), settings(updates=4), tmp_path))
    assert [m.update for m in rest] == [3, 4]


def test_a_folder_with_a_run_of_another_identity_is_refused(tiny, frames, tmp_path):
    list(train(new_policy(tiny), source_of(frames), settings(), tmp_path, {"stage": "pretrain", "seed": 0}))
    with pytest.raises(CheckpointError, match="differs in seed, stage; use another folder"):
        next(train(new_policy(tiny), source_of(frames), settings(), tmp_path, {"stage": "finetune", "seed": 1}))


def test_a_loss_that_is_not_a_number_stops_training_and_the_last_good_checkpoint_stays(tiny, frames, tmp_path):
    policy = new_policy(tiny)
    run = train(policy, source_of(frames), settings(), tmp_path)
    assert [next(run).update for _ in range(3)] == [1, 2, 3]
    with torch.no_grad():
        policy.head.out.bias[3] = math.nan
    with pytest.raises(DivergedError, match="update 4 has loss nan"):
        next(run)
    kept, header = load_policy(tmp_path / "policy.safetensors")
    assert header["done"] == 2
    assert all(p.isfinite().all() for p in kept.parameters())


def test_too_little_data_is_said(tiny, frames, tmp_path):
    with pytest.raises(DataError, match="ended after 1 of 5"):
        list(train(new_policy(tiny), lambda _: [make_batch(frames)], settings(), tmp_path))
    with pytest.raises(DataError, match="batches of 7"):
        next(train(new_policy(tiny), source_of(frames), settings(batch_size=7), tmp_path / "other"))
    with pytest.raises(DataError, match="no step"):
        evaluate(new_policy(tiny), [], torch.float32)
    with pytest.raises(DataError, match="frames"):
        Batch(torch.zeros(2, 8, 128, 128, 3), torch.zeros(2, 7, 16), torch.zeros(2, 8))


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(OptionError, match="counts of 1 or more"):
        ImitationConfig(updates=0)
    with pytest.raises(OptionError, match="an exponent of 0 or more, got -1"):
        ImitationConfig(averaging=-1)


def test_the_held_out_loss_is_the_mean_over_all_batches(policy, frames):
    batches = [make_batch(frames, seed) for seed in (0, 1)]
    batches[1].counted[:, 1:] = False
    losses = [accumulate(Replicas(policy, 1), batch, settings()) for batch in batches]
    together = evaluate(policy, batches, torch.float32)
    assert together.action == pytest.approx((losses[0].action * 32 + losses[1].action * 4) / 36, rel=1e-4)
