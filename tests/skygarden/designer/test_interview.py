"""Laws of an interview: what each labeller is asked, and what is known of it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from agents.reward import RewardArtefact, RewardConfig, RewardModel
from envs.errors import AnswerError, CheckpointError, DataError, OptionError
from rollout.preferences import read_preferences
from skygarden.designer import clips
from skygarden.designer import interview as module
from skygarden.designer.interview import Interview, InterviewConfig, Session, Share
from skygarden.designer.questions import QuestionConfig
from skygarden.designer.store import AnswerStore
from tests.skygarden.designer.conftest import Judged

EPISODES, TRUNK = "e" * 64, "t" * 64
PATIENCE = 200.0  # seconds, which no test waits
Opener = Callable[..., Interview]


@pytest.fixture
def opened(judged: Judged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opener]:
    """Opens interviews that learn fast, and closes them after the test."""
    quick = RewardConfig(epochs=30, batch_size=100, fill=True, learning_rate=3e-3)
    monkeypatch.setattr(module, "LEARNING", quick)
    with ExitStack() as stack:

        def make(items: int = 2, count: int = 60, reward: RewardArtefact | None = None, **settings: Any) -> Interview:
            config = InterviewConfig(questions=QuestionConfig(items=items), **settings)
            answers = tmp_path / "answers.sqlite"
            return stack.enter_context(Interview(config, judged.played[:count], EPISODES, TRUNK, answers, reward))

        yield make


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Is released when an accuracy is kept."""
    kept = threading.Semaphore(0)
    add = AnswerStore.add_accuracy

    def add_and_tell(self: AnswerStore, comparisons: int, right: float, decided: int) -> None:
        add(self, comparisons, right, decided)
        kept.release()

    monkeypatch.setattr(AnswerStore, "add_accuracy", add_and_tell)
    return kept


def third_number(trunk: str = TRUNK) -> RewardArtefact:
    """A reward model that reads from the embeddings what episodes of `judged` are worth."""
    model = RewardModel(5, torch.Generator().manual_seed(0))
    model.score = lambda trajectories: trajectories[:, :, 2].mean(1)
    return RewardArtefact(model, "embeddings", trunk, 1.0, {})


def answer(interview: Interview, labeller: str, count: int, choose: Callable[[tuple[int, ...]], list[int]]) -> None:
    for _ in range(count):
        question = interview.session(labeller).question
        assert question is not None
        points = choose(tuple(shown.id for shown in question.trajectories))
        interview.answer(question.id, labeller, points, 2.0)


def ids(session: Session) -> tuple[int | None, int | None]:
    return session.question and session.question.id, session.next and session.next.id


def test_a_session_shows_a_question_and_the_one_after_it(opened: Opener) -> None:
    session = opened(intent="Walk ahead.", labeller="anna", goal=7).session("anna")
    assert (session.intent, session.labeller, session.mode, ids(session)) == ("Walk ahead.", "anna", "pairs", (1, 2))
    assert session.question is not None
    assert session.question.points == 2
    assert [shown.seconds for shown in session.question.trajectories] == [0.3, 0.3]  # three steps
    progress = session.progress
    assert (progress.answered, progress.skipped, progress.comparisons, progress.goal) == (0, 0, 0, 7)
    assert (progress.last, progress.agreement, progress.accuracy, progress.score) == (None, None, [], None)


def test_looking_again_asks_nothing_new_and_an_answer_moves_on(opened: Opener) -> None:
    interview = opened(items=3, labeller="anna")
    assert interview.session("anna") == interview.session("anna")
    interview.answer(1, "anna", [1, 5, 5], 2.5)
    session = interview.session("anna")
    assert (session.mode, ids(session)) == ("groups", (2, 3))
    assert (session.progress.answered, session.progress.comparisons, session.progress.seconds) == (1, 3, 2.5)
    interview.answer(2, "anna", None, 1.0)
    session = interview.session("anna")
    assert (session.progress.answered, session.progress.skipped, session.progress.comparisons) == (1, 1, 3)


def test_undo_opens_a_question_again_with_what_was_said(opened: Opener) -> None:
    interview = opened()
    interview.answer(1, "designer", [2, 1], 1.0)
    interview.answer(2, "designer", None, 1.0)
    assert interview.session("designer").progress.last == 2
    interview.undo(2, "designer")
    interview.undo(1, "designer")
    session = interview.session("designer")
    assert ids(session) == (1, 2)
    assert session.question is not None
    assert session.next is not None
    assert (session.question.given, session.next.given) == ([2, 1], None)
    assert (session.progress.answered, session.progress.skipped, session.progress.last) == (0, 0, None)


def test_labellers_have_questions_of_their_own_and_are_counted_together(opened: Opener, judged: Judged) -> None:
    interview = opened(labeller="anna")
    answer(interview, "anna", 7, judged.points)
    answer(interview, "bert", 8, judged.points)  # the eighth is one of anna's
    with pytest.raises(AnswerError, match="put to anna, not to bert"):
        interview.answer(1, "bert", [1, 2], 1.0)
    anna, bert = (interview.progress(who) for who in ("anna", "bert"))
    assert (anna.answered, anna.comparisons, bert.answered, bert.comparisons) == (7, 7, 8, 8)
    everyone = anna.everyone
    assert everyone == bert.everyone
    assert (everyone.labellers, everyone.answered, everyone.comparisons) == (2, 15, 15)
    assert anna.agreement is not None
    assert (anna.agreement.share, anna.agreement.of >= 1) == (1.0, True)


@pytest.mark.slow
def test_held_out_accuracy_is_shown_and_is_there_after_reopening(
    opened: Opener, judged: Judged, kept: threading.Semaphore
) -> None:
    first = opened(items=4)
    answer(first, "designer", 20, judged.points)  # 120 comparisons
    accuracy = first.progress("designer").accuracy
    while not accuracy or accuracy[-1].comparisons < 105:  # the last ones may be too few to learn anew from
        assert kept.acquire(timeout=PATIENCE)
        accuracy = first.progress("designer").accuracy
    assert accuracy[-1].share > 0.9
    assert 0.8 < accuracy[-1].low <= accuracy[-1].share <= accuracy[-1].high <= 1
    first.__exit__()
    again = opened(items=4).progress("designer")
    assert again.accuracy == accuracy
    assert (again.answered, again.comparisons, again.seconds) == (20, 120, 40.0)


def test_scores_of_a_reward_model_are_compared_with_the_answers(opened: Opener, judged: Judged) -> None:
    interview = opened(items=4, reward=third_number())
    answer(interview, "anna", 3, judged.points)  # 18 comparisons, all as the scores have it
    assert interview.progress("anna").score == Share(1.0, 18)
    answer(interview, "anna", 1, lambda trajectories: [5 - points for points in judged.points(trajectories)])
    answer(interview, "anna", 1, lambda _: [3, 3, 3, 3])  # ties say nothing
    assert interview.progress("bert").score == Share(0.75, 24)


def open_files(name: str) -> list[str]:
    return [file.path for file in psutil.Process().open_files() if name in file.path]


def own_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "learning" or t.name.startswith("clips")]


def test_a_reward_model_of_a_foreign_trunk_is_refused_before_anything_is_made(opened: Opener, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="reads embeddings of trunk uuuuuuuuuuuu, not of tttttttttttt"):
        opened(reward=third_number("u" * 64))
    assert (list(tmp_path.iterdir()), own_threads()) == ([], [])


def test_answers_about_other_episodes_are_refused_and_nothing_is_left_open(opened: Opener, tmp_path: Path) -> None:
    AnswerStore(tmp_path / "answers.sqlite", "f" * 64).close()
    with pytest.raises(DataError, match="is about episodes ffffffffffff"):
        opened()
    assert (open_files("answers.sqlite"), own_threads()) == ([], [])


def test_an_interview_that_cannot_show_anything_leaves_nothing_open(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, effort: str) -> None:
        raise OSError(f"the disk is full, {effort}")

    monkeypatch.setattr(clips, "write_video", fail)
    with pytest.raises(OSError, match="disk is full"):
        opened()
    assert (open_files("answers.sqlite"), own_threads()) == ([], [])


def test_closing_leaves_nothing_open(opened: Opener, judged: Judged) -> None:
    interview = opened()
    answer(interview, "anna", 25, judged.points)
    assert open_files("answers.sqlite") != []
    assert len(own_threads()) == 2
    interview.__exit__()
    assert (open_files("answers.sqlite"), own_threads()) == ([], [])


def test_when_all_is_answered_there_is_no_question_then_or_after_reopening(opened: Opener, judged: Judged) -> None:
    interview = opened(count=10)  # two of each fold: five pairs
    answer(interview, "designer", 4, judged.points)
    assert ids(interview.session("designer")) == (5, None)
    answer(interview, "designer", 1, judged.points)
    assert ids(interview.session("designer")) == (None, None)
    interview.__exit__()
    again = opened(count=10)
    assert ids(again.session("designer")) == (None, None)
    assert again.session("bert").question is not None


def test_what_was_said_is_exported(opened: Opener, judged: Judged, tmp_path: Path) -> None:
    interview = opened(items=3, labeller="anna")
    with pytest.raises(DataError, match="nothing has been compared yet"):
        interview.export(tmp_path / "preferences.parquet")
    answer(interview, "anna", 2, judged.points)
    interview.export(tmp_path / "preferences.parquet")
    preferences = read_preferences(tmp_path / "preferences.parquet", EPISODES)
    assert (preferences.labeller.tolist(), preferences.group.tolist()) == (["anna"] * 6, [1, 1, 1, 2, 2, 2])


def test_too_few_episodes_are_refused(opened: Opener, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="questions about 3 trajectories need 15 episodes, got 10"):
        opened(items=3, count=10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [{"labeller": name} for name in ("", " ", " anna", "anna ", "a\nb", "a" * 41)])
def test_a_name_that_the_service_would_not_take_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(OptionError, match="1 to 40 characters, no space around it"):
        InterviewConfig(**wrong)  # type: ignore[arg-type]


def test_a_goal_is_one_comparison_at_least() -> None:
    with pytest.raises(OptionError, match="a goal of 1 or more"):
        InterviewConfig(goal=0)
    assert replace(InterviewConfig(goal=1), labeller="Anna K").labeller == "Anna K"
