"""Laws of the reward model."""

import math
from collections.abc import Iterable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agents.checkpoint import write
from agents.reward import (
    STEPS,
    Comparisons,
    RewardArtefact,
    RewardConfig,
    RewardModel,
    Trajectories,
    accuracy,
    bradley_terry_loss,
    filled,
    load_reward,
    random_projection,
    save_reward,
    shifted,
    train_reward_model,
)
from envs.backend import Start
from envs.episode import Ending, Episode
from envs.errors import CheckpointError, DataError, OptionError

WIDTH = 6


def model(seed: int = 0) -> RewardModel:
    """The same small one every time."""
    return RewardModel(WIDTH, torch.Generator().manual_seed(seed))


def embeddings(count: int, seed: int = 0) -> torch.Tensor:
    """Trajectories of noise; the first number of every step is larger, the later one comes."""
    made = torch.randn(count, STEPS, WIDTH, generator=torch.Generator().manual_seed(seed))
    made[:, :, 0] += torch.linspace(-1, 1, count)[:, None]
    return made


def lasting(steps: torch.Tensor, *lengths: int) -> Trajectories:
    """Trajectories of these lengths, or that all have so many steps; 100 unless told."""
    given = lengths or (STEPS,)
    return Trajectories(steps, torch.tensor(given if len(given) == len(steps) else given * len(steps)))


def pairs(*rows: tuple[int, int, float]) -> Comparisons:
    """Comparisons as (first, second, preference)."""
    first, second, preference = zip(*rows, strict=True)
    return Comparisons(torch.tensor(first), torch.tensor(second), torch.tensor(preference))


def in_order(count: int) -> Comparisons:
    """Of each two the later one is better."""
    return pairs(*((a, b, 0.0) for a in range(count) for b in range(a + 1, count)))


def test_the_loss_is_what_bradley_and_terry_say() -> None:
    # A difference of ln 3 means that the first is preferred 3 times in 4.
    first, second = torch.tensor([math.log(3.0)]), torch.tensor([0.0])
    assert bradley_terry_loss(first, second, torch.tensor([1.0])).item() == pytest.approx(math.log(4 / 3))
    assert bradley_terry_loss(first, second, torch.tensor([0.0])).item() == pytest.approx(math.log(4))
    expected = (math.log(4 / 3) + math.log(4)) / 2
    assert bradley_terry_loss(first, second, torch.tensor([0.5])).item() == pytest.approx(expected)


def test_its_gradient_is_the_chance_of_the_wrong_answer() -> None:
    first, second = torch.tensor([math.log(3.0)], requires_grad=True), torch.tensor([0.0], requires_grad=True)
    torch.autograd.backward(bradley_terry_loss(first, second, torch.tensor([1.0])))
    assert first.grad is not None
    assert second.grad is not None
    assert first.grad.item() == pytest.approx(-0.25)
    assert second.grad.item() == pytest.approx(0.25)


def test_a_reward_reads_every_step_and_its_place() -> None:
    given = embeddings(1).requires_grad_()
    torch.autograd.backward(model().raw(given).sum())
    assert given.grad is not None
    assert (given.grad.abs().sum(-1) > 0).all()
    turned = given.detach().flip(1)
    assert model().raw(turned).item() != pytest.approx(model().raw(given).item())


def test_accuracy_counts_decided_comparisons_and_half_of_ties() -> None:
    rewards = torch.tensor([0.0, 1.0, 1.0])
    assert accuracy(rewards, pairs((0, 1, 0.0), (1, 0, 1.0))) == 1.0
    assert accuracy(rewards, pairs((0, 1, 1.0), (1, 0, 1.0), (1, 2, 1.0), (0, 1, 0.5))) == pytest.approx(1.5 / 3)
    with pytest.raises(DataError, match="no comparison says which"):
        accuracy(rewards, pairs((0, 1, 0.5)))


def test_it_learns_an_order_that_it_can_see_and_scales_to_the_unit_range() -> None:
    learnt, given = model(), embeddings(24)
    losses = list(train_reward_model(learnt, lasting(given), in_order(24), RewardConfig(epochs=60, learning_rate=3e-3)))
    assert losses[0] == pytest.approx(math.log(2), abs=0.1)
    assert losses[-1] < 0.1
    with torch.no_grad():
        scores = learnt.score(given)
    assert (scores.min().item(), scores.max().item()) == pytest.approx((0, 1), abs=1e-6)
    assert accuracy(scores, in_order(24)) > 0.97
    unseen = embeddings(24, seed=1)
    with torch.no_grad():
        assert accuracy(learnt.score(unseen), in_order(24)) > 0.8


def test_the_same_seed_gives_the_same_model() -> None:
    results = []
    for seed in (0, 0, 1):
        trained = model()
        config = RewardConfig(epochs=2, batch_size=5, seed=seed)
        list(train_reward_model(trained, lasting(embeddings(9)), in_order(9), config))
        results.append(trained.hidden.weight.detach())
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_a_model_that_tells_nothing_apart_has_no_range() -> None:
    same = torch.zeros(4, STEPS, WIDTH)
    with pytest.raises(DataError, match="has learnt nothing"):
        model().fit_range(same)


def test_an_artefact_comes_back_and_refuses_another_trunk(tmp_path) -> None:
    given, trained = embeddings(5), model()
    trained.fit_range(given)
    save_reward(RewardArtefact(trained, "features", "a" * 64, 0.93, {"to": "left"}), tmp_path / "reward")
    loaded = load_reward(tmp_path / "reward")
    assert (loaded.reads, loaded.trunk, loaded.accuracy, loaded.about) == ("features", "a" * 64, 0.93, {"to": "left"})
    with torch.no_grad():
        assert torch.equal(loaded.score(given, "a" * 64), trained.score(given))
    with pytest.raises(CheckpointError, match="reads features of trunk aaaaaaaaaaaa, not of bbbb"):
        loaded.score(given, "b" * 64)


def episode(seed: int) -> Episode:
    """A padded one of a step, of which an agent made noise."""
    rng = np.random.default_rng(seed)
    return Episode(
        seed=seed,
        start=Start(0, "ninja", 0),
        actions=np.zeros((1, 16), np.uint8),
        log_probs=np.zeros(1, np.float32),
        embeddings=rng.normal(size=(STEPS, WIDTH)).astype(np.float16),
        features=rng.normal(size=(STEPS, WIDTH)).astype(np.float16),
        positions=np.zeros((2, 3), np.float32),
        ending=Ending.TERMINATED,
        jumppad="left",
    )


def test_an_artefact_scores_what_it_reads_of_episodes() -> None:
    trained, episodes = model(), [episode(seed) for seed in range(3)]
    scores = {
        reads: RewardArtefact(trained, reads, "a" * 64, 0.9, {}).score_episodes(episodes, "a" * 64)
        for reads in ("embeddings", "features")
    }
    for reads, rewards in scores.items():
        given = torch.stack([torch.as_tensor(getattr(episode, reads)) for episode in episodes])
        assert torch.equal(rewards, trained.scores(given))
    assert not torch.equal(scores["embeddings"], scores["features"])


def test_an_artefact_that_reads_something_else_is_refused(tmp_path) -> None:
    header = {"width": WIDTH, "reads": "frames", "trunk": "a", "accuracy": 0.9, "about": {}}
    write(tmp_path / "reward", "reward", dict(model().state_dict()), header)
    with pytest.raises(CheckpointError, match="reads 'frames', and episodes hold embeddings and features"):
        load_reward(tmp_path / "reward")


@pytest.mark.parametrize("missing", ["reads", "trunk", "accuracy", "range"])
def test_an_artefact_without_what_gives_it_meaning_is_refused(tmp_path, missing: str) -> None:
    header = {"width": WIDTH, "reads": "features", "trunk": "a", "accuracy": 0.9, "about": {}}
    weights = dict(model().state_dict())
    (weights if missing == "range" else header).pop(missing)
    write(tmp_path / "reward", "reward", weights, header)
    with pytest.raises(CheckpointError, match=f"lacks {missing}"):
        load_reward(tmp_path / "reward")


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(DataError, match=r"expected trajectories \(B, 100, 6\), got \(2, 99, 6\)"):
        model().raw(torch.zeros(2, 99, WIDTH))
    with pytest.raises(DataError, match="no comparison"):
        Comparisons(torch.tensor([], dtype=torch.int64), torch.tensor([], dtype=torch.int64), torch.tensor([]))
    with pytest.raises(DataError, match="of one length"):
        Comparisons(torch.tensor([0]), torch.tensor([1, 2]), torch.tensor([1.0]))
    for preference in (1.5, math.nan):
        with pytest.raises(DataError, match="lies between"):
            pairs((0, 1, preference))
    with pytest.raises(OptionError, match="counts of 1 or more"):
        RewardConfig(epochs=0)


def test_a_random_projection_is_fixed_and_keeps_lengths_on_average() -> None:
    first, again = (random_projection(3000, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == (512, 3000)
    frame = torch.rand(3000, generator=torch.Generator().manual_seed(0))
    assert (first @ frame).square().mean().item() == pytest.approx(frame.square().mean().item(), rel=0.2)


def counting(*lengths: int) -> Trajectories:
    """Trajectories of these lengths whose steps count up from 0, then padding of -1."""
    steps = torch.arange(100.0).expand(len(lengths), 100)
    padded = torch.where(steps < torch.tensor(lengths)[:, None], steps, -1.0)
    return lasting(torch.stack((padded, -padded), -1), *lengths)


def moved(trajectories: Trajectories, by: int) -> list[list[int]]:
    """The first number of every step of every trajectory, after a shift."""
    return shifted(trajectories, by)[:, :, 0].int().tolist()


def test_a_trajectory_moves_in_time_and_its_ends_are_repeated() -> None:
    whole = counting(100)
    assert moved(whole, 0) == [[*range(100)]]
    assert moved(whole, 3) == [[*range(3, 100), 99, 99, 99]]
    assert moved(whole, 99) == [[99] * 100]
    assert moved(counting(90), -2) == [[0, 0, *range(90), *[-1] * 8]]
    assert moved(counting(90), 2) == [[*range(2, 90), *[-1] * 12]]


def test_all_numbers_of_a_step_move_with_it() -> None:
    both = shifted(counting(90, 95), -3)
    assert both.shape == (2, 100, 2)
    assert torch.equal(both[..., 0], -both[..., 1])


def test_no_end_is_pushed_out_of_view() -> None:
    assert moved(counting(98, 90, 99, 100), -5) == [
        [0, *range(98), -1],
        [0] * 5 + [*range(90), *[-1] * 5],
        [*range(99), -1],
        [*range(100)],
    ]


@given(lengths=st.lists(st.integers(1, 100), min_size=1, max_size=6), by=st.integers(-99, 99))
def test_the_shorter_of_two_is_never_the_longer_after_a_shift(lengths: list[int], by: int) -> None:
    after = (shifted(counting(*lengths), by)[:, :, 0] >= 0).sum(1).tolist()
    for first, after_first in zip(lengths, after, strict=True):
        for second, after_second in zip(lengths, after, strict=True):
            assert after_first <= after_second or first > second
        assert (after_first == 100) == (first == 100)


def test_updates_are_counted_before_training() -> None:
    config = RewardConfig(epochs=3, batch_size=4)
    assert [config.updates(comparisons) for comparisons in (1, 4, 5, 10)] == [3, 3, 6, 9]
    assert RewardConfig(epochs=3, batch_size=4, most_updates=7).updates(10) == 7
    assert RewardConfig(epochs=3, batch_size=4, most_updates=10).updates(10) == 9
    assert RewardConfig().updates(499_500) == 48_800  # of all pairs of 1000 trajectories, 244 an epoch


def test_training_ends_after_the_most_updates_and_fits_the_range_all_the_same() -> None:
    def losses(config: RewardConfig) -> list[float]:
        return list(train_reward_model(model(), lasting(embeddings(9)), in_order(9), config))

    whole = losses(RewardConfig(epochs=2, batch_size=5))
    assert len(whole) == 16  # of 36 comparisons 5 at a time: 8 an epoch
    assert losses(RewardConfig(epochs=2, batch_size=5, most_updates=10)) == whole[:10]
    assert losses(RewardConfig(epochs=2, batch_size=5, most_updates=99)) == whole
    short = model()
    list(train_reward_model(short, lasting(embeddings(9)), in_order(9), RewardConfig(most_updates=1)))
    with torch.no_grad():
        scores = short.score(embeddings(9))
    assert (scores.min().item(), scores.max().item()) == pytest.approx((0, 1), abs=1e-6)


def events(times: Iterable[int], seed: int) -> torch.Tensor:
    """Two trajectories a time: in the first something good happens then, in the second something bad."""
    times = list(times)
    made = 0.1 * torch.randn(2 * len(times), STEPS, WIDTH, generator=torch.Generator().manual_seed(seed))
    for k, time in enumerate(times):
        for kind in range(2):
            made[2 * k + kind, time : time + 3, kind] += 2
    return made


def test_what_was_seen_at_some_times_is_known_at_others_where_training_shifts() -> None:
    good_is_better = pairs(*((2 * a, 2 * b + 1, 1.0) for a in range(8) for b in range(8)))
    rates = {}
    for shift in (0, 40):
        learnt = model()
        config = RewardConfig(epochs=80, learning_rate=3e-3, shift=shift)
        list(train_reward_model(learnt, lasting(events(range(45, 53), seed=0), 60), good_is_better, config))
        with torch.no_grad():
            seen, early, late = (
                accuracy(learnt.raw(events(range(first, first + 8), seed=1)), good_is_better) for first in (45, 15, 75)
            )
        rates[shift] = (seen, min(early, late), max(early, late))
    assert rates[0][0] == rates[40][0] == 1.0
    assert rates[40][1] > 0.95
    assert rates[0][2] < 0.7


def test_embeddings_of_16_bits_give_rewards_of_32() -> None:
    learnt, given = model(), embeddings(5)
    exact, rounded = learnt.raw(given), learnt.raw(given.bfloat16())
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, atol=0.02, rtol=0)
    assert not torch.equal(rounded, exact)
    list(train_reward_model(learnt, lasting(given.bfloat16()), in_order(5), RewardConfig(epochs=3, learning_rate=3e-3)))
    assert {parameter.dtype for parameter in learnt.parameters()} == {torch.float32}
    assert learnt.score(given.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize(
    "wrong", [{"most_updates": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"seed": -1}], ids=str
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(OptionError, match="counts of 1 or more and a rate above 0"):
        RewardConfig(**wrong)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("shift", [-1, 100])
def test_a_shift_by_all_there_is_is_refused(shift: int) -> None:
    with pytest.raises(OptionError, match=f"shifted by 0 to 99 steps, got {shift}"):
        RewardConfig(shift=shift)


def test_a_filled_batch_learns_from_every_comparison_of_its_trajectories() -> None:
    """Of 0-1 and 2-3 the one drawn brings 1-0 with it, and not 1-2."""
    given = pairs((0, 1, 1.0), (2, 3, 1.0), (1, 2, 1.0), (1, 0, 0.0))
    assert filled(torch.tensor([0]), given).tolist() == [0, 3]
    assert filled(torch.tensor([2]), given).tolist() == [2]
    assert filled(torch.tensor([0, 1]), given).tolist() == [0, 1, 2, 3]
