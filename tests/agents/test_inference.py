"""Laws of acting."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.inference import Actor, ActorConfig
from agents.policy import Head, Trunk, log_prob
from envs.errors import OptionError

STEPS, BATCH = 22, 3
RESETS = {0: [0, 1, 2], 5: [1], 6: [1], 13: [0, 2], 20: [2]}  # step: the environments whose episode starts there


def play(policy, frames, config):
    """Features that an actor gives, and the frames that each environment has shown in its episode, step by step."""
    actor, shown = Actor(policy, BATCH, config, seed=0), [[] for _ in range(BATCH)]
    for step in range(STEPS):
        mask = np.isin(np.arange(BATCH), RESETS.get(step, []))
        actor.reset(mask)
        images = frames(BATCH, seed=step)
        shown = [([] if mask[env] else shown[env]) + [images[env]] for env in range(BATCH)]
        yield actor.act(images).features, shown


def brute_force(policy, window):
    """The features of the last frame of a window, by the whole network."""
    with torch.no_grad():
        return policy.trunk.features(torch.from_numpy(np.stack(window))[None])[0, -1]


def test_window_inference_is_the_whole_network_over_the_last_frames(policy, frames):
    for features, shown in play(policy, frames, ActorConfig(context="window", precision="float32")):
        for env in range(BATCH):
            torch.testing.assert_close(features[env], brute_force(policy, shown[env][-8:]), rtol=1e-3, atol=1e-4)


def test_chunked_inference_is_the_whole_network_over_its_own_context(policy, frames):
    longest = 0
    for features, shown in play(policy, frames, ActorConfig(context="chunked", precision="float32")):
        for env in range(BATCH):
            # Of 8: lengths 1 to 8, then 5 to 8 again and again, because the newest 4 stay.
            count = len(shown[env])
            length = count if count <= 8 else (count - 1) % 4 + 5
            longest = max(longest, count)
            torch.testing.assert_close(features[env], brute_force(policy, shown[env][-length:]), rtol=1e-3, atol=1e-4)
    assert longest > 13  # some context was shortened twice


@pytest.mark.parametrize("context", ["window", "chunked"])
def test_in_bfloat16_the_features_are_within_a_few_percent(policy, frames, context):
    pairs = zip(
        play(policy, frames, ActorConfig(context=context, precision="float32")),
        play(policy, frames, ActorConfig(context=context, precision="bfloat16")),
        strict=True,
    )
    for (exact, _), (rounded, _) in pairs:
        assert rounded.dtype == torch.bfloat16
        assert (exact - rounded.float()).abs().mean() < 0.03  # of numbers with standard deviation 1


def test_the_log_probabilities_are_those_of_the_head_on_the_features(policy, frames):
    actor = Actor(policy, BATCH, ActorConfig(temperature=0.5, precision="bfloat16"), seed=0)
    decision = actor.act(frames(BATCH))
    assert decision.actions.shape == (BATCH, 16)
    assert decision.actions.dtype == np.uint8
    with torch.no_grad():
        logits = policy.head.logits(decision.features.float()) / 0.5
    expected = log_prob(logits, torch.from_numpy(decision.actions))
    torch.testing.assert_close(torch.from_numpy(decision.log_probs), expected)


def test_a_seed_gives_the_actions(policy, frames):
    actions = [Actor(policy, BATCH, ActorConfig(), seed=seed).act(frames(BATCH)).actions for seed in (1, 1, 2)]
    assert np.array_equal(actions[0], actions[1])
    assert not np.array_equal(actions[0], actions[2])


def test_a_new_head_acts_and_the_trunk_stays(policy, tiny, frames):
    actor = Actor(policy, 1, ActorConfig(precision="float32"), seed=0)
    before = actor.act(frames(1))
    head = Head(tiny.width, torch.Generator().manual_seed(9))
    with torch.no_grad():
        head.out.bias[1] = 50.0  # A is pressed, whatever is seen
    actor.load_head(head.state_dict())
    actor.reset(np.array([True]))
    after = actor.act(frames(1))
    assert after.actions[0, 0] == 1
    torch.testing.assert_close(before.features, after.features)


def test_training_on_does_not_show_in_an_actor(policy, frames):
    actor = Actor(policy, 1, ActorConfig(precision="float32"), seed=0)
    before = actor.act(frames(1)).features
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.zero_()
    actor.reset(np.array([True]))
    torch.testing.assert_close(actor.act(frames(1)).features, before)


def test_what_cannot_be_acted_on_is_refused(policy, frames):
    with pytest.raises(OptionError, match="window or chunked"):
        Actor(policy, 1, ActorConfig(context="all"), seed=0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(OptionError, match="uint8"):
        Actor(policy, 2, ActorConfig(), seed=0).act(frames(1))
    with pytest.raises(OptionError, match="float32"):
        Actor(policy, 1, ActorConfig(), seed=0).act(frames(1).astype(np.float32))


@pytest.mark.parametrize("context", ["window", "chunked"])
def test_embeddings_are_what_the_transformer_reads_of_the_frame_alone(policy, frames, context):
    actor = Actor(policy, 11, ActorConfig(context=context, precision="float32", processors=2), seed=0)
    actor.reset(np.ones(11, np.bool_))
    for step in range(STEPS):
        images = frames(11, seed=step)
        images[step % 11] = 0
        with torch.no_grad():
            expected = policy.trunk.embed(torch.from_numpy(images), policy.trunk.encoder.weights(torch.float32))
        torch.testing.assert_close(actor.act(images).embeddings, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("context", ["window", "chunked"])
def test_environments_that_are_shared_out_get_the_features_they_get_together(policy, frames, context):
    together, shared = (
        Actor(policy, 11, ActorConfig(context=context, precision="float32", processors=count), seed=0)
        for count in (1, 2)
    )
    for step in range(STEPS):
        mask = np.arange(11) % 5 == step % 7
        images = frames(11, seed=step)
        expected, found = (actor.act(images) for actor in (together, shared) if actor.reset(mask) is None)
        torch.testing.assert_close(found.features, expected.features, rtol=1e-3, atol=1e-4)
        assert np.array_equal(found.actions, expected.actions)


def blackened(frames):
    """Frames as `frames` makes them, some black: at steps 4 to 6 all, at others every fifth."""

    def make(count, *, seed):
        made = frames(count, seed=seed)
        made[[seed in (4, 5, 6) or (env + seed) % 5 == 0 for env in range(count)]] = 0
        return made

    return make


@pytest.mark.parametrize("context", ["window", "chunked"])
def test_black_frames_are_embedded_as_the_whole_network_does(policy, frames, context):
    black = set()
    for features, shown in play(policy, blackened(frames), ActorConfig(context=context, precision="float32")):
        black.add(sum(not seen[-1].any() for seen in shown))
        for env in range(BATCH):
            count = len(shown[env])
            length = min(count, 8) if context == "window" or count <= 8 else (count - 1) % 4 + 5
            torch.testing.assert_close(features[env], brute_force(policy, shown[env][-length:]), rtol=1e-3, atol=1e-4)
    assert black == {0, 1, 3}  # none, some and all of them were


@pytest.mark.parametrize("context", ["window", "chunked"])
def test_black_frames_are_embedded_alike_where_environments_are_shared_out(policy, frames, context):
    config = ActorConfig(context=context, precision="float32", processors=2)
    shared, alone = (Actor(policy, 9, replace(config, processors=count), seed=0) for count in (2, 1))
    for step in range(10):
        images = blackened(frames)(9, seed=step)
        torch.testing.assert_close(shared.act(images).features, alone.act(images).features, rtol=1e-3, atol=1e-4)


def test_a_frame_with_one_lit_pixel_is_not_black(policy):
    images = np.zeros((BATCH, 128, 128, 3), np.uint8)
    images[1, 127, 127, 2] = 200
    actor = Actor(policy, BATCH, ActorConfig(precision="float32"), seed=0)
    features = actor.act(images).features
    for env in range(BATCH):
        torch.testing.assert_close(features[env], brute_force(policy, [images[env]]), rtol=1e-3, atol=1e-4)
    assert torch.equal(features[0], features[2])
    assert not torch.equal(features[0], features[1])


def test_the_encoder_sees_no_black_frame(policy, frames, monkeypatch):
    embed, seen = Trunk.embed, []

    def watched(trunk, images, weights):
        seen.append(len(images))
        return embed(trunk, images, weights)

    monkeypatch.setattr(Trunk, "embed", watched)
    actor = Actor(policy, BATCH, ActorConfig(precision="float32"), seed=0)
    seen.clear()  # one black frame, beforehand
    images = frames(BATCH)
    actor.act(images)
    images[1] = 0
    actor.act(images)
    images[:] = 0
    actor.act(images)
    assert seen == [3, 2]
