"""Laws of learning while answers come in."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch

from agents import cross_validation
from agents.reward import RewardConfig, train_reward_model, trajectories_of
from skygarden.designer.learning import Learning
from skygarden.designer.store import AnswerStore, Comparison
from tests.skygarden.designer.conftest import Judged

QUICK = RewardConfig(epochs=30, batch_size=100, fill=True, learning_rate=3e-3)
ENDLESS = RewardConfig(epochs=1_000_000, batch_size=1)
PATIENCE = 200.0  # seconds, which no test waits
Starter = Callable[..., Learning]


class Watched(AnswerStore):
    """Tells when an accuracy is kept."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "e" * 64)
        self.kept, self.looked = threading.Semaphore(0), threading.Semaphore(0)

    def comparisons(self) -> list[Comparison]:
        found = super().comparisons()
        self.looked.release()
        return found

    def add_accuracy(self, comparisons: int, right: float, decided: int) -> None:
        super().add_accuracy(comparisons, right, decided)
        self.kept.release()

    def say(self, judged: Judged, count: int, chance: random.Random | None = None) -> None:
        """Answer so many questions, by what episodes are worth or by chance; each is within a fold."""
        there = len(self.asked())
        rng = random.Random(there)
        for _ in range(count):
            fold = rng.randrange(5)
            trajectories = tuple(rng.sample(range(fold, 60, 5), 3))
            points = judged.points(trajectories)
            if chance:
                chance.shuffle(points)
            self.answer(self.ask("anna", trajectories, 5, "random").id, "anna", points, 1.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Watched]:
    store = Watched(tmp_path / "answers.sqlite")
    yield store
    store.close()


@pytest.fixture
def start(store: Watched, judged: Judged) -> Iterator[Starter]:
    """Starts to learn; stops after the test."""
    with ExitStack() as running:

        def make(config: RewardConfig = QUICK) -> Learning:
            learning = Learning(store, trajectories_of(judged.played, "embeddings"), config)
            running.callback(learning.close)
            return learning

        yield make


def until(holds: Callable[[], bool]) -> None:
    """Look again and again until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
def test_held_out_accuracy_rises_to_what_can_be_learnt(store: Watched, start: Starter, judged: Judged) -> None:
    learning = start()
    for _ in range(2):
        store.say(judged, 25)
        learning.more()
        assert store.kept.acquire(timeout=PATIENCE)
    (first, _, _), (second, right, decided) = store.accuracies()
    assert (first, second, decided) == (75, 150, 150)  # three of each answer, all of one fold and none a tie
    assert right / decided > 0.9
    assert learning.scores is not None
    assert learning.scores.shape == (5, 60)
    best, worst = (judged.worth.index(rank) for rank in (59, 0))
    assert (learning.scores[:, best] > learning.scores[:, worst]).all()


@pytest.mark.slow
def test_of_answers_by_chance_half_are_foreseen(store: Watched, start: Starter, judged: Judged) -> None:
    store.say(judged, 60, random.Random(1))
    start().more()
    assert store.kept.acquire(timeout=PATIENCE)
    ((_, right, decided),) = store.accuracies()
    assert decided == 180
    assert 0.35 < right / decided < 0.65


def test_what_was_asked_where_models_disagree_is_no_test(store: Watched, start: Starter, judged: Judged) -> None:
    store.say(judged, 20)
    for first in range(0, 50, 5):
        question = store.ask("anna", (first, first + 5), 2, "disagreement")
        store.answer(question.id, "anna", judged.points((first, first + 5)), 1.0)
    start().more()
    assert store.kept.acquire(timeout=PATIENCE)
    assert [(there, decided) for there, _, decided in store.accuracies()] == [(70, 60)]


def test_models_are_made_anew_when_there_are_a_seventh_more_answers(
    store: Watched, start: Starter, judged: Judged
) -> None:
    # Comparisons, and whether they are learnt from: fewer than 20 are not, nor are 66 after 60; 69 = 1.15 * 60 are.
    learning = start()
    seen: list[int] = []

    def learn(said: Sequence[Comparison]) -> None:
        seen.append(len(said))
        learning._seen, learning._scores = len(said), torch.zeros(5, 60)  # pyright: ignore[reportPrivateUsage]

    learning._learn = learn  # pyright: ignore[reportPrivateUsage]
    for answers in (6, 14, 2, 1):  # of three comparisons each
        store.say(judged, answers)
        learning.more()
        assert store.looked.acquire(timeout=PATIENCE)
    learning.close()
    assert seen == [60, 69]


def test_it_goes_on_where_it_was(store: Watched, start: Starter, judged: Judged) -> None:
    store.say(judged, 20)
    first = start()
    first.more()
    assert store.kept.acquire(timeout=PATIENCE)
    first.close()
    before = store.accuracies()
    again = start()
    again.more()  # models are made anew, and what they are worth is known already
    until(lambda: again.scores is not None and not again.busy)
    assert store.accuracies() == before
    store.say(judged, 10)
    again.more()
    assert store.kept.acquire(timeout=PATIENCE)
    assert [there for there, _, _ in store.accuracies()] == [60, 90]


def test_answers_that_all_leave_out_the_same_are_waited_for(store: Watched, start: Starter, judged: Judged) -> None:
    for k in range(0, 55, 5):
        for labeller in ("anna", "bert"):  # all of fold 0
            store.answer(store.ask(labeller, (k, k + 5), 2, "random").id, labeller, judged.points((k, k + 5)), 1.0)
    learning = start()
    learning.more()
    assert store.looked.acquire(timeout=PATIENCE)
    store.say(judged, 20)
    learning.more()
    assert store.kept.acquire(timeout=PATIENCE)
    assert [there for there, _, _ in store.accuracies()] == [22 + 60]


@pytest.mark.timeout(120)
def test_closing_does_not_wait_for_a_model(
    store: Watched, start: Starter, judged: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def train(*arguments: Any) -> Iterator[float]:
        for loss in train_reward_model(*arguments):
            begun.set()
            yield loss

    monkeypatch.setattr(cross_validation, "train_reward_model", train)
    store.say(judged, 20)
    learning = start(ENDLESS)
    learning.more()
    assert begun.wait(PATIENCE)
    assert learning.busy
    learning.close()
    assert not learning.busy
    assert (store.accuracies(), learning.scores) == ([], None)
    assert not any(thread.name == "learning" for thread in threading.enumerate())
