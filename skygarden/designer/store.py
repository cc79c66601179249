"""Questions and answers in SQLite: one transaction an answer, so that what was shown as saved is there.

A question is a few trajectories in an order, put to one labeller. An answer gives each a number of points; all
comparisons that follow from it are one group. Answers are kept, comparisons are worked out.
"""

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np

from agents.preferences import preferred
from envs.errors import AnswerError, DataError
from rollout.preferences import Preferences

_VERSION: Final = 1
_TABLES: Final = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE questions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    labeller TEXT NOT NULL,
    trajectories TEXT NOT NULL, -- JSON, in the order shown
    points INTEGER NOT NULL, -- of the scale
    reason TEXT NOT NULL, -- why these: "random", "disagreement", "again"
    asked REAL NOT NULL, -- seconds since 1970
    undone TEXT -- JSON, the points that were taken back
);
CREATE TABLE answers (
    question INTEGER PRIMARY KEY REFERENCES questions (id),
    points TEXT, -- JSON, one a trajectory, or NULL where skipped
    seconds REAL NOT NULL, -- that it took
    answered REAL NOT NULL
);
CREATE TABLE imported (
    labeller TEXT NOT NULL,
    "group" INTEGER NOT NULL, -- below 0: the numbers from 1 on are of questions
    first INTEGER NOT NULL,
    second INTEGER NOT NULL,
    preference REAL NOT NULL
);
CREATE TABLE accuracies (comparisons INTEGER NOT NULL, right REAL NOT NULL, decided INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Question:
    """What a labeller is asked."""

    id: int
    labeller: str
    trajectories: tuple[int, ...]  # where they are in the file of episodes
    points: int  # of the scale, from 1, the worst
    reason: str
    answered: bool
    given: tuple[int, ...] | None  # the answer; None where there is none, or it was skipped
    undone: tuple[int, ...] | None  # the one that was taken back


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one labeller said of two trajectories."""

    first: int
    second: int
    preference: float  # 1 the first is better, 0 the second, 0.5 neither
    labeller: str
    group: int  # comparisons of one answer share a number
    reason: str  # that it was asked for, or "imported"


@dataclass(frozen=True, slots=True)
class Work:
    """What a labeller has done."""

    answered: int
    skipped: int
    seconds: float
    last: int | None  # the question answered last


class AnswerStore:
    """The answers about one file of episodes; several threads may use it at once.

    `identity` (str) is this file's own: question 5 of another file is another question.

    Args: path: made where it is not. episodes: hash of the file that the episodes are in.
    Raises: DataError: it cannot be read, or is about other episodes.
    """

    def __init__(self, path: Path, episodes: str) -> None:
        self.path, self.episodes = path, episodes
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        with ExitStack() as opened:  # a file that is refused is closed again
            try:
                self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
                opened.callback(self._db.close)
                self._db.execute("PRAGMA synchronous = FULL")
                self._prepare()
            except sqlite3.DatabaseError as error:
                raise DataError(
                    f"{path} cannot be read ({error}): damaged, or not made by `skygarden label`"
                ) from error
            opened.pop_all()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def ask(self, labeller: str, trajectories: Sequence[int], points: int, reason: str) -> Question:
        """Put a question to a labeller."""
        values = (labeller, json.dumps(list(trajectories)), points, reason, time.time())
        with self._transaction() as db:
            row = db.execute(
                "INSERT INTO questions (labeller, trajectories, points, reason, asked) VALUES (?, ?, ?, ?, ?)", values
            )
            return self._question(int(row.lastrowid or 0))

    def open_questions(self, labeller: str) -> list[Question]:
        """Those that a labeller has not answered, in the order of asking."""
        return self._questions("WHERE q.labeller = ? AND a.question IS NULL", labeller)

    def question(self, number: int, labeller: str) -> Question:
        """A labeller's question.

        Raises: AnswerError: there is none.
        """
        question = self._question(number)
        if question.labeller != labeller:
            raise AnswerError(f"question {number} was put to {question.labeller}, not to {labeller}", "conflict")
        return question

    def answer(self, number: int, labeller: str, points: Sequence[int] | None, seconds: float) -> None:
        """Keep an answer; the same one again changes nothing.

        Args: points: one a trajectory, from 1 to the question's points; None passes.
        Raises: AnswerError: no such question, not this labeller's, answered otherwise before, or the points do not fit.
        """
        given = None if points is None else tuple(points)
        with self._transaction() as db:
            question = self.question(number, labeller)
            if given is not None and (
                len(given) != len(question.trajectories) or not all(1 <= p <= question.points for p in given)
            ):
                wanted = f"{len(question.trajectories)} numbers from 1 to {question.points}"
                raise AnswerError(f"question {number} takes {wanted}, got {list(given)}", "malformed")
            if question.answered:
                if given != question.given:
                    raise AnswerError(f"question {number} is answered already; undo that first", "conflict")
                return
            text = None if given is None else json.dumps(given)
            db.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", (number, text, seconds, time.time()))

    def undo(self, number: int, labeller: str) -> None:
        """Take an answer back; where there is none, nothing changes.

        Raises: AnswerError: no such question, or not this labeller's.
        """
        with self._transaction() as db:
            self.question(number, labeller)
            db.execute(
                "UPDATE questions SET undone = a.points FROM answers a WHERE a.question = questions.id AND id = ?",
                (number,),
            )
            db.execute("DELETE FROM answers WHERE question = ?", (number,))

    def work(self, labeller: str) -> Work:
        """What a labeller has done."""
        (answered, skipped, seconds), *_ = self._all(
            "SELECT COUNT(a.points), COUNT(*) - COUNT(a.points), TOTAL(a.seconds) FROM answers a "
            "JOIN questions q ON q.id = a.question WHERE q.labeller = ?",
            labeller,
        )
        last = self._all(
            "SELECT a.question FROM answers a JOIN questions q ON q.id = a.question WHERE q.labeller = ? "
            "ORDER BY a.answered DESC, a.question DESC LIMIT 1",
            labeller,
        )
        return Work(answered, skipped, seconds, last[0][0] if last else None)

    def asked(self) -> list[Question]:
        """All questions."""
        return self._questions("")

    def comparisons(self) -> list[Comparison]:
        """All comparisons that follow from the answers, then those imported."""
        rows = self._all(
            "SELECT q.id, q.labeller, q.trajectories, q.reason, a.points FROM answers a "
            "JOIN questions q ON q.id = a.question WHERE a.points IS NOT NULL ORDER BY q.id"
        )
        result = [
            Comparison(first, second, preference, labeller, number, reason)
            for number, labeller, trajectories, reason, points in rows
            for first, second, preference in implied(json.loads(trajectories), json.loads(points))
        ]
        imported = self._all('SELECT labeller, "group", first, second, preference FROM imported ORDER BY rowid')
        return result + [
            Comparison(first, second, preference, labeller, group, "imported")
            for labeller, group, first, second, preference in imported
        ]

    def preferences(self) -> Preferences:
        """All comparisons, as a file of them holds them.

        Raises: DataError: there is none.
        """
        return as_preferences(self.comparisons(), self.episodes)

    def add(self, preferences: Preferences) -> int:
        """Add comparisons of a file, but for pairs that the same labeller has compared already.

        Returns: how many were new.
        Raises: DataError: they are about other episodes.
        """
        if preferences.episodes != self.episodes:
            raise DataError(
                f"these preferences are about episodes {preferences.episodes[:12]}, not {self.episodes[:12]}"
            )
        columns = (preferences.labeller, preferences.group, preferences.first, preferences.second)
        rows = zip(*(column.tolist() for column in (*columns, preferences.preference)), strict=True)
        with self._transaction() as db:
            there = {(c.labeller, frozenset((c.first, c.second))) for c in self.comparisons()}
            (lowest,) = db.execute('SELECT MIN(0, COALESCE(MIN("group"), 0)) FROM imported').fetchone()
            groups: dict[tuple[str, int], int] = {}
            new = [
                (labeller, groups.setdefault((labeller, group), lowest - 1 - len(groups)), first, second, preference)
                for labeller, group, first, second, preference in rows
                if (labeller, frozenset((first, second))) not in there
            ]
            db.executemany("INSERT INTO imported VALUES (?, ?, ?, ?, ?)", new)
        return len(new)

    def add_accuracy(self, comparisons: int, right: float, decided: int) -> None:
        """Keep how many of the held-out comparisons a reward model gets right that has learnt from the others."""
        with self._transaction() as db:
            db.execute("INSERT INTO accuracies VALUES (?, ?, ?)", (comparisons, right, decided))

    def accuracies(self) -> list[tuple[int, float, int]]:
        """All of them, the oldest first: comparisons there were, right, decided."""
        return self._all("SELECT comparisons, right, decided FROM accuracies ORDER BY rowid")

    def _prepare(self) -> None:
        with self._transaction() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version == 0 and not db.execute("SELECT 1 FROM sqlite_master").fetchone():
                for statement in _TABLES.split(";"):
                    db.execute(statement)
                values = [("episodes", self.episodes), ("identity", secrets.token_hex(8))]
                db.executemany("INSERT INTO about VALUES (?, ?)", values)
                db.execute(f"PRAGMA user_version = {_VERSION}")
            elif version != _VERSION:
                raise DataError(f"{self.path} holds answers of version {version}, and {_VERSION} is needed")
            named = dict(db.execute("SELECT name, value FROM about").fetchall())
        about, self.identity = named.get("episodes", "unknown"), named.get("identity", "")
        if about != self.episodes:
            raise DataError(
                f"{self.path} is about episodes {about[:12]}, not about {self.episodes[:12]}; give another file for "
                "the answers"
            )

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        """All or nothing, and on disk when it ends."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _all(self, query: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def _question(self, number: int) -> Question:
        found = self._questions("WHERE q.id = ?", number)
        if not found:
            raise AnswerError(f"there is no question {number}", "missing")
        return found[0]

    def _questions(self, where: str, *values: Any) -> list[Question]:
        rows = self._all(
            "SELECT q.id, q.labeller, q.trajectories, q.points, q.reason, a.question, a.points, q.undone "
            f"FROM questions q LEFT JOIN answers a ON a.question = q.id {where} ORDER BY q.id",
            *values,
        )
        return [
            Question(
                number,
                labeller,
                tuple(json.loads(trajectories)),
                points,
                reason,
                answered is not None,
                None if given is None else tuple(json.loads(given)),
                None if undone is None else tuple(json.loads(undone)),
            )
            for number, labeller, trajectories, points, reason, answered, given, undone in rows
        ]


def implied(trajectories: Sequence[int], points: Sequence[int]) -> list[tuple[int, int, float]]:
    """The comparisons that follow from points: first, second, and 1, 0 or 0.5 for a tie."""
    given = zip(trajectories, points, strict=True)
    return [(a, b, preferred(p, q)) for (a, p), (b, q) in combinations(given, 2)]


def agreement(comparisons: Sequence[Comparison]) -> tuple[int, int]:
    """How often two labellers who compared the same two trajectories said the same, and how often they could have."""
    said: dict[tuple[int, int], dict[str, float]] = {}
    for c in comparisons:
        pair, preference = (
            ((c.first, c.second), c.preference) if c.first < c.second else ((c.second, c.first), 1 - c.preference)
        )
        said.setdefault(pair, {})[c.labeller] = preference
    both = [pair for by in said.values() for pair in combinations(by.values(), 2)]
    return sum(a == b for a, b in both), len(both)


def as_preferences(comparisons: Sequence[Comparison], episodes: str) -> Preferences:
    """Comparisons as a file of them holds them.

    Raises: DataError: there is none.
    """
    if not comparisons:
        raise DataError("nothing has been compared yet; label some trajectories first: skygarden label")
    return Preferences(
        first=np.array([c.first for c in comparisons], np.int64),
        second=np.array([c.second for c in comparisons], np.int64),
        preference=np.array([c.preference for c in comparisons], np.float32),
        labeller=np.array([c.labeller for c in comparisons]),
        group=np.array([c.group for c in comparisons], np.int64),
        episodes=episodes,
    )
