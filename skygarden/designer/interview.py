"""What a labeller is asked, answers and sees: the page's side of things without the page."""

import re
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Self

import torch

from agents.reward import Comparisons, RewardArtefact, RewardConfig, accuracy, trajectories_of
from envs.episode import Episode, Reads
from envs.errors import DataError, OptionError
from rollout.preferences import write_preferences
from skygarden.designer.clips import Clips
from skygarden.designer.learning import Learning
from skygarden.designer.questions import QuestionConfig, next_question
from skygarden.designer.store import AnswerStore, Comparison, Question, agreement
from skygarden.evaluate import wilson

NAME: Final = r"^\S(.*\S)?$"  # of a labeller
AHEAD: Final = 2  # questions that are ready: the one asked, and the one whose videos are loaded meanwhile
LEARNING: Final = RewardConfig(epochs=100, most_updates=300, batch_size=100, fill=True, learning_rate=1e-3, shift=10)
READS: Final[Reads] = "embeddings"


@dataclass(frozen=True, kw_only=True)
class InterviewConfig:
    """What is asked of whom."""

    intent: str = ""  # a sentence: what the designer wants
    labeller: str = "designer"  # who answers where the page names nobody
    goal: int | None = None  # comparisons wanted of each labeller
    questions: QuestionConfig = field(default_factory=QuestionConfig)

    def __post_init__(self) -> None:
        named = re.search(NAME, self.labeller) and len(self.labeller) <= 40
        if not named or (self.goal is not None and self.goal < 1):
            raise OptionError(
                f"a labeller has a name of 1 to 40 characters, no space around it, and a goal of 1 or more, got {self}"
            )


@dataclass(frozen=True, slots=True)
class Shown:
    """A trajectory to watch."""

    id: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the page shows it."""

    id: int
    trajectories: list[Shown]
    points: int  # of the scale, from 1, the worst
    given: list[int] | None  # the answer that was taken back


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many."""

    share: float
    of: int


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How a reward model did on held-out comparisons, with the 95% interval."""

    comparisons: int  # there were
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Everyone:
    """What all labellers have done."""

    labellers: int
    answered: int
    comparisons: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a labeller has come."""

    answered: int
    skipped: int
    comparisons: int
    seconds: float
    goal: int | None  # comparisons
    last: int | None  # the question that can be undone
    everyone: Everyone
    agreement: Share | None  # between labellers
    accuracy: list[Accuracy]  # the oldest first
    learning: bool  # right now
    score: Share | None  # how often a reward model's scores agree with the answers


@dataclass(frozen=True, slots=True)
class Session:
    """All that the page shows."""

    store: str  # what tells the file of answers from others
    intent: str
    labeller: str
    mode: Literal["pairs", "groups"]
    question: Asked | None  # None where nothing is left to ask
    next: Asked | None  # to load ahead
    progress: Progress


class Interview:
    """Asks labellers about some episodes and keeps what they say; several threads may use it at once.

    Args: answers: the file they are kept in. episodes: hash of the file of episodes. reward: a reward model whose
      scores are compared with the answers.
    Raises: DataError: there are too few episodes to ask about. CheckpointError: the reward model reads another trunk.
    """

    def __init__(
        self,
        config: InterviewConfig,
        played: Sequence[Episode],
        episodes: str,
        trunk: str,
        answers: Path,
        reward: RewardArtefact | None = None,
    ) -> None:
        items = config.questions.items
        if next_question(config.questions, len(played), [], config.labeller, None) is None:
            raise DataError(f"questions about {items} trajectories need {5 * items} episodes, got {len(played)}")
        self.config = config
        self._lengths = [len(episode) for episode in played]
        self._scores = None if reward is None else reward.score_episodes(played, trunk)
        with ExitStack() as opened:  # what was opened is closed again where the next cannot be
            self._store = AnswerStore(answers, episodes)
            opened.callback(self._store.close)
            self.clips = Clips(played, answers.with_name(f"{answers.name}.videos") / episodes[:16])
            opened.callback(self.clips.close)
            self._learning = Learning(self._store, trajectories_of(played, READS), LEARNING)
            opened.callback(self._learning.close)
            self._lock = threading.Lock()
            self._learning.more()
            for question in self._ahead(config.labeller)[:1]:  # a page that is opened has something to show
                for trajectory in question.trajectories:
                    self.clips.video(trajectory)
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the threads and close the file."""
        self._opened.close()

    def session(self, labeller: str) -> Session:
        """What a labeller's page shows."""
        question, following, *_ = [*map(self._shown, self._ahead(labeller)), None, None]
        mode = "pairs" if self.config.questions.items == 2 else "groups"
        return Session(
            self._store.identity, self.config.intent, labeller, mode, question, following, self.progress(labeller)
        )

    def _ahead(self, labeller: str) -> list[Question]:
        """The question to answer and the one after it, fewer where nothing is left; their videos are being made."""
        with self._lock:
            waiting = self._store.open_questions(labeller)
            while len(waiting) < AHEAD:
                asked = self._store.asked()
                found = next_question(self.config.questions, len(self._lengths), asked, labeller, self._learning.scores)
                if found is None:
                    break
                trajectories, reason = found
                scale = self.config.questions.scale
                waiting.append(self._store.ask(labeller, trajectories, scale, reason))
        for question in waiting[:AHEAD]:
            self.clips.prepare(question.trajectories)
        return waiting[:AHEAD]

    def answer(self, number: int, labeller: str, points: Sequence[int] | None, seconds: float) -> None:
        """Keep an answer; on disk when this returns. Raises: as `AnswerStore.answer`."""
        self._store.answer(number, labeller, points, seconds)
        self._learning.more()

    def undo(self, number: int, labeller: str) -> None:
        """Take an answer back. Raises: as `AnswerStore.undo`."""
        self._store.undo(number, labeller)

    def progress(self, labeller: str) -> Progress:
        """How far a labeller has come, and everybody."""
        said, work = self._store.comparisons(), self._store.work(labeller)
        alike, both = agreement(said)
        return Progress(
            answered=work.answered,
            skipped=work.skipped,
            comparisons=sum(c.labeller == labeller for c in said),
            seconds=work.seconds,
            goal=self.config.goal,
            last=work.last,
            everyone=Everyone(len({c.labeller for c in said}), len({(c.labeller, c.group) for c in said}), len(said)),
            agreement=Share(alike / both, both) if both else None,
            accuracy=[
                Accuracy(there, right / decided, *wilson(right, decided))
                for there, right, decided in self._store.accuracies()
            ],
            learning=self._learning.busy,
            score=self._agreement_with_scores(said),
        )

    def export(self, path: Path) -> None:
        """Write all comparisons to a preference file. Raises: DataError: there is none."""
        write_preferences(path, self._store.preferences())

    def _agreement_with_scores(self, said: Sequence[Comparison]) -> Share | None:
        decided = [c for c in said if c.preference != 0.5]
        if self._scores is None or not decided:
            return None
        first, second = ([getattr(c, side) for c in decided] for side in ("first", "second"))
        preference = torch.tensor([c.preference for c in decided])
        share = accuracy(self._scores, Comparisons(torch.tensor(first), torch.tensor(second), preference))
        return Share(share, len(decided))

    def _shown(self, question: Question) -> Asked:
        shown = [Shown(t, self._lengths[t] / 10) for t in question.trajectories]
        return Asked(question.id, shown, question.points, None if question.undone is None else list(question.undone))
