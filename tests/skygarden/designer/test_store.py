"""Laws of answers: what follows from them, what is refused, and that what was kept is there whatever happens."""

import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.errors import AnswerError, DataError
from rollout.preferences import Preferences, read_preferences, write_preferences
from skygarden.designer.store import AnswerStore, Comparison, agreement, implied

EPISODES = "e" * 64
Opener = Callable[..., AnswerStore]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    """Opens files of answers, and closes them after the test."""
    with ExitStack() as stack:

        def make(name: str = "answers.sqlite", episodes: str = EPISODES) -> AnswerStore:
            store = AnswerStore(tmp_path / name, episodes)
            stack.callback(store.close)
            return store

        yield make


@pytest.fixture
def store(opened: Opener) -> AnswerStore:
    return opened()


def say(store: AnswerStore, labeller: str, trajectories: tuple[int, ...], points: tuple[int, ...] | None) -> int:
    """Ask and answer at once."""
    question = store.ask(labeller, trajectories, 5, "random")
    store.answer(question.id, labeller, points, 1.5)
    return question.id


def told(store: AnswerStore) -> list[tuple[str, int, int, float]]:
    """Who said what, but for the numbers of groups."""
    return [(c.labeller, c.first, c.second, c.preference) for c in store.comparisons()]


def groups(store: AnswerStore) -> set[frozenset[tuple[str, int, int]]]:
    """Which comparisons are of one answer."""
    by: dict[tuple[str, int], set[tuple[str, int, int]]] = {}
    for c in store.comparisons():
        by.setdefault((c.labeller, c.group), set()).add((c.labeller, c.first, c.second))
    return {frozenset(group) for group in by.values()}


def test_points_imply_every_comparison_and_equal_ones_tie() -> None:
    assert implied((8, 3, 5), (2, 4, 2)) == [(8, 3, 0.0), (8, 5, 0.5), (3, 5, 1.0)]


def test_comparisons_of_one_answer_are_a_group(store: AnswerStore) -> None:
    first = say(store, "anna", (8, 3, 5), (2, 4, 2))
    second = say(store, "anna", (1, 2), (2, 1))
    assert store.comparisons() == [
        Comparison(8, 3, 0.0, "anna", first, "random"),
        Comparison(8, 5, 0.5, "anna", first, "random"),
        Comparison(3, 5, 1.0, "anna", first, "random"),
        Comparison(1, 2, 1.0, "anna", second, "random"),
    ]
    assert first != second


@pytest.mark.parametrize("points", [(2, 4, 2), None])
def test_an_answer_again_is_nothing_new_and_another_one_conflicts(
    store: AnswerStore, points: tuple[int, ...] | None
) -> None:
    number = say(store, "anna", (8, 3, 5), points)
    before = store.work("anna")
    store.answer(number, "anna", points, 99.0)
    for other in ((1, 1, 1), None):
        if other != points:
            with pytest.raises(AnswerError, match="answered already; undo that first") as refused:
                store.answer(number, "anna", other, 1.0)
            assert refused.value.reason == "conflict"
    assert store.work("anna") == before
    assert store.question(number, "anna").given == points


def test_what_was_undone_is_asked_again_with_what_was_said(store: AnswerStore) -> None:
    say(store, "anna", (0, 5), (1, 2))
    number = say(store, "anna", (8, 3, 5), (2, 4, 2))
    store.undo(number, "anna")
    assert [(q.id, q.answered, q.undone) for q in store.open_questions("anna")] == [(number, False, (2, 4, 2))]
    assert told(store) == [("anna", 0, 5, 0.0)]
    store.undo(number, "anna")  # nothing is left to undo
    assert store.open_questions("anna")[0].undone == (2, 4, 2)
    store.answer(number, "anna", (1, 1, 5), 1.0)
    assert told(store)[1:] == [("anna", 8, 3, 0.5), ("anna", 8, 5, 0.0), ("anna", 3, 5, 0.0)]
    assert store.open_questions("anna") == []


def test_work_counts_answers_passes_and_time(store: AnswerStore) -> None:
    say(store, "anna", (0, 5), (1, 2))
    passed = say(store, "anna", (0, 10), None)
    say(store, "bert", (0, 5), (1, 2))
    work = store.work("anna")
    assert (work.answered, work.skipped, work.seconds, work.last) == (1, 1, 3.0, passed)
    assert told(store) == [("anna", 0, 5, 0.0), ("bert", 0, 5, 0.0)]  # who passes says nothing
    store.undo(passed, "anna")
    assert store.work("anna").last == passed - 1
    nobody = store.work("carl")
    assert (nobody.answered, nobody.skipped, nobody.seconds, nobody.last) == (0, 0, 0.0, None)


def test_nobody_answers_or_undoes_for_another(store: AnswerStore) -> None:
    number = store.ask("anna", (0, 5), 2, "random").id
    for attempt in (lambda: store.answer(number, "bert", (1, 2), 1.0), lambda: store.undo(number, "bert")):
        with pytest.raises(AnswerError, match="put to anna, not to bert") as refused:
            attempt()
        assert refused.value.reason == "conflict"
    with pytest.raises(AnswerError, match="there is no question 77") as refused:
        store.answer(77, "anna", (1, 2), 1.0)
    assert refused.value.reason == "missing"


@pytest.mark.parametrize("points", [(1,), (1, 2, 2), (0, 1), (1, 3), (-1, 2), (1, 10**30), ()])
def test_points_that_do_not_fit_are_refused(store: AnswerStore, points: tuple[int, ...]) -> None:
    number = store.ask("anna", (0, 5), 2, "random").id
    with pytest.raises(AnswerError, match="2 numbers from 1 to 2") as refused:
        store.answer(number, "anna", points, 1.0)
    assert refused.value.reason == "malformed"
    assert not store.question(number, "anna").answered


def test_answers_outlive_the_file_being_closed(opened: Opener) -> None:
    store = opened()
    number = say(store, "anna", (8, 3, 5), (2, 4, 2))
    store.undo(number, "anna")
    store.answer(number, "anna", (1, 2, 3), 1.0)
    store.add_accuracy(20, 7.5, 10)
    before = (store.identity, store.asked(), store.comparisons(), store.accuracies(), store.work("anna"))
    store.close()
    again = opened()
    assert (again.identity, again.asked(), again.comparisons(), again.accuracies(), again.work("anna")) == before
    assert opened("other.sqlite").identity != store.identity


def _other_version(path: Path) -> None:
    AnswerStore(path, EPISODES).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 2")
    db.close()


def _without_rows(path: Path) -> None:
    AnswerStore(path, EPISODES).close()
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM about")
    db.close()


def _cut(path: Path) -> None:
    AnswerStore(path, EPISODES).close()
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: AnswerStore(path, "f" * 64).close(), "is about episodes ffffffffffff, not about eeeeeeeeeeee"),
        (lambda path: path.write_bytes(b"no database at all" * 100), "damaged, or not made by"),
        (_cut, "damaged, or not made by"),
        (_without_rows, "is about episodes unknown"),
        (_other_version, "holds answers of version 2, and 1 is needed"),
        (lambda path: path.mkdir(), "cannot be read"),
    ],
)
def test_a_file_that_is_not_ours_is_refused_and_not_kept_open(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    path = tmp_path / "answers.sqlite"
    make(path)
    kept: list[BaseException] = []  # and with it all that the error refers to
    try:
        AnswerStore(path, EPISODES)
    except DataError as error:
        kept.append(error)
    assert said in str(kept[0])
    assert [file.path for file in psutil.Process().open_files() if "answers.sqlite" in file.path] == []


def test_threads_that_answer_at_once_lose_nothing(store: AnswerStore) -> None:
    names = ["anna", "bert", "carl", "dora"]

    def answer(name: str) -> list[int]:
        return [say(store, name, (k, k + 5), (1 + k % 2, 2)) for k in range(20)]

    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(answer, names))
    assert sorted(n for of in numbers for n in of) == list(range(1, 81))
    for name in names:
        assert [(f, s, p) for who, f, s, p in told(store) if who == name] == [
            (k, k + 5, 0.5 if k % 2 else 0.0) for k in range(20)
        ]


def test_of_threads_that_answer_one_question_differently_one_is_heard(store: AnswerStore) -> None:
    number = store.ask("anna", (0, 5), 5, "random").id

    def answer(points: int) -> int:
        try:
            store.answer(number, "anna", (points, 3), 1.0)
        except AnswerError:
            return 0
        return points

    with ThreadPoolExecutor(5) as pool:
        heard = [points for points in pool.map(answer, range(1, 6)) if points]
    assert len(heard) == 1
    assert store.question(number, "anna").given == (heard[0], 3)


def test_two_labellers_agree_as_often_as_they_say_the_same() -> None:
    said = [
        (1, 2, 1.0, "anna"),
        (2, 1, 0.0, "bert"),  # the same, said the other way round
        (3, 4, 1.0, "anna"),
        (3, 4, 0.5, "bert"),  # not the same
        (5, 6, 0.5, "anna"),
        (6, 5, 0.5, "bert"),  # the same
        (7, 8, 1.0, "anna"),  # of one alone
        (3, 4, 0.5, "carl"),  # as bert, not as anna
        (9, 8, 0.0, "bert"),
        (9, 8, 1.0, "bert"),  # of one alone, who has changed his mind
    ]
    comparisons = [Comparison(a, b, p, who, k, "random") for k, (a, b, p, who) in enumerate(said)]
    assert agreement(comparisons) == (3, 5)
    assert agreement([]) == (0, 0)


def test_a_file_of_preferences_gives_the_same_comparisons_and_adds_them_once(opened: Opener, tmp_path: Path) -> None:
    store, fresh = opened(), opened("fresh.sqlite")
    for who, trajectories, points in (
        ("anna", (8, 3, 5), (2, 4, 2)),
        ("bert", (8, 3, 5), (5, 4, 2)),
        ("anna", (1, 2), (1, 2)),
        ("anna", (3, 8, 1), (1, 1, 1)),  # 3 and 8 once more
        ("bert", (1, 2), None),
    ):
        say(store, who, trajectories, points)
    path = tmp_path / "preferences.parquet"
    write_preferences(path, store.preferences())
    preferences = read_preferences(path, EPISODES)
    assert store.add(preferences) == 0  # one's own
    assert fresh.add(preferences) == 10
    assert told(fresh) == told(store)
    assert groups(fresh) == groups(store)
    before = fresh.comparisons()
    assert fresh.add(preferences) == 0
    assert fresh.comparisons() == before
    assert {c.reason for c in before} == {"imported"}
    assert opened("again.sqlite").add(fresh.preferences()) == 10  # and what was imported is exported


def test_groups_of_questions_and_of_imports_stay_apart(opened: Opener) -> None:
    store, other = opened(), opened("other.sqlite")
    say(store, "anna", (0, 5, 10), (1, 2, 3))
    say(other, "anna", (1, 6, 11), (1, 2, 3))
    say(other, "bert", (2, 7, 12), (1, 2, 3))
    store.add(other.preferences())
    say(other, "anna", (3, 8, 13), (1, 2, 3))
    assert store.add(other.preferences()) == 3
    assert len({c.group for c in store.comparisons()}) == 4
    assert sorted(len(group) for group in groups(store)) == [3, 3, 3, 3]


def test_preferences_about_other_episodes_are_not_added(opened: Opener) -> None:
    other = opened("other.sqlite", "f" * 64)
    say(other, "anna", (0, 5), (1, 2))
    with pytest.raises(DataError, match="about episodes ffffffffffff, not eeeeeeeeeeee"):
        opened().add(other.preferences())


def test_an_import_that_fails_adds_nothing(store: AnswerStore) -> None:
    say(store, "anna", (0, 5), (1, 2))
    two = replace_rows(store.preferences(), [(0, 5, "bert"), (5, 10, None)])
    with pytest.raises(sqlite3.IntegrityError):
        store.add(two)
    assert told(store) == [("anna", 0, 5, 0.0)]


def replace_rows(preferences: Preferences, rows: list[tuple[int, int, str | None]]) -> Preferences:
    first, second, labeller = zip(*rows, strict=True)
    return replace(
        preferences,
        first=np.array(first),
        second=np.array(second),
        preference=np.ones(len(rows), np.float32),
        labeller=np.array(labeller, object),
        group=np.arange(len(rows)),
    )


def test_what_cannot_be_exported_is_said(store: AnswerStore) -> None:
    say(store, "anna", (0, 5), None)
    with pytest.raises(DataError, match="nothing has been compared yet"):
        store.preferences()


answers = st.lists(
    st.tuples(
        st.sampled_from(["anna", "bert"]),
        st.lists(st.integers(0, 6), min_size=2, max_size=4, unique=True),
        st.lists(st.integers(1, 5), min_size=4, max_size=4),
    ),
    min_size=1,
    max_size=8,
)


@given(answers)
def test_whatever_was_answered_comes_back_from_preferences(given: list[tuple[str, list[int], list[int]]]) -> None:
    store, fresh = (AnswerStore(Path(":memory:"), EPISODES) for _ in range(2))
    try:
        for who, trajectories, points in given:
            say(store, who, tuple(trajectories), tuple(points[: len(trajectories)]))
        assert fresh.add(store.preferences()) == len(store.comparisons())
        assert told(fresh) == told(store)
        assert groups(fresh) == groups(store)
        assert store.add(fresh.preferences()) == 0
    finally:
        store.close()
        fresh.close()


ANSWERING = """
import sys
from pathlib import Path
from skygarden.designer.store import AnswerStore
store = AnswerStore(Path(sys.argv[1]), "e" * 64)
while True:
    number = store.ask("anna", (0, 5, 10), 5, "random").id
    store.answer(number, "anna", (1 + number % 5, 2, 3), 1.0)
    print(number, flush=True)
"""


def test_what_was_said_to_be_kept_is_there_after_a_kill(opened: Opener, tmp_path: Path) -> None:
    path, rng = tmp_path / "answers.sqlite", random.Random(0)
    kept: list[int] = []
    for _ in range(3):
        run = subprocess.Popen([sys.executable, "-c", ANSWERING, str(path)], stdout=subprocess.PIPE, text=True)
        assert run.stdout is not None
        with run:
            kept += [int(run.stdout.readline()) for _ in range(rng.randrange(1, 60))]
            run.kill()
            kept += [int(line) for line in run.stdout if line.endswith("\n")]
    store = opened()
    answered = {question.id: question.given for question in store.asked() if question.answered}
    assert {number: answered.get(number) for number in kept} == {number: (1 + number % 5, 2, 3) for number in kept}
    assert 0 <= len(answered) - len(kept) <= 3  # one that was kept and could not be told, each time
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
