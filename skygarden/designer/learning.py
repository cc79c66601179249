"""Learns from the answers while they come in, so that the designer sees when they are enough."""

import threading
from collections.abc import Sequence
from typing import Final

import torch

from agents.cross_validation import FOLDS, fold_of, standardised, validate_fold
from agents.parameters import compute_dtype
from agents.reward import RewardConfig, Trajectories
from envs.errors import DataError
from skygarden.designer.store import AnswerStore, Comparison, as_preferences
from skygarden.rewarding import compared

_LEAST: Final = 20  # comparisons, below which an accuracy says nothing
_GROWTH: Final = 1.15  # by which there are more when models are trained anew


class _ClosedError(Exception):
    """Nobody waits for what is being learnt any more."""


class Learning:
    """A thread that trains a reward model a fold, again and again, and keeps how they did on what was held out.

    Args: trajectories: all that there are, float16.
    """

    def __init__(self, store: AnswerStore, trajectories: Trajectories, config: RewardConfig) -> None:
        self._store, self._trajectories, self._config = store, trajectories, config
        self._seen = max((there for there, _, _ in store.accuracies()), default=0)
        self._wake, self._closing = threading.Event(), threading.Event()
        self._scores: torch.Tensor | None = None
        self.busy = False
        self._thread = threading.Thread(target=self._run, name="learning", daemon=True)
        self._thread.start()

    @property
    def scores(self) -> torch.Tensor | None:
        """What the models think of all trajectories, (models, M), or None before there are any."""
        return self._scores

    def more(self) -> None:
        """Say that answers have come in."""
        self._wake.set()

    def close(self) -> None:
        """Stop; a model that is being trained is given up."""
        self._closing.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        torch.set_num_threads(1)  # of this thread: answers and videos come first
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            comparisons = self._store.comparisons()
            due = self._scores is None or len(comparisons) >= self._seen * _GROWTH
            if len(comparisons) >= _LEAST and due and not self._closing.is_set():
                self.busy = True
                try:
                    self._learn(comparisons)
                except _ClosedError:
                    return
                except DataError:  # all answers so far leave out the same trajectories: more will come
                    self._seen = len(comparisons)
                finally:
                    self.busy = False

    def _learn(self, said: Sequence[Comparison]) -> None:
        there, comparisons = compared(as_preferences(said, self._store.episodes))
        tested = torch.tensor([c.reason in ("random", "imported") for c in said])
        dtype = compute_dtype("auto", torch.device("cpu"))
        trajectories, folds = self._trajectories.take(there).to(dtype), fold_of(torch.tensor(there))
        done = [
            validate_fold(trajectories, comparisons, folds, tested, fold, self._config, self._check_open)
            for fold in range(FOLDS)
        ]
        self._scores = standardised([fold.model.scores(self._trajectories.steps) for fold in done])
        decided = sum(fold.decided for fold in done)
        if decided and len(said) > self._seen:
            self._store.add_accuracy(len(said), sum(fold.right for fold in done), decided)
        self._seen = len(said)

    def _check_open(self) -> None:
        if self._closing.is_set():
            raise _ClosedError
