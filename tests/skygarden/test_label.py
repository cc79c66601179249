"""The commands of the designer's seat, as a user types them, and what is left when they are killed."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import numpy as np
import pytest

from envs.backend import Start
from envs.episode import Ending, Episode
from rollout.preferences import read_preferences, write_preferences
from rollout.store import write_episodes
from skygarden import label as module
from skygarden.designer.store import AnswerStore
from skygarden.rewarding import hash_of

STARTING = re.compile(r"Compare trajectories at (http://127\.0\.0\.1:\d+)/\?token=(\S{16,})\n")
PATIENCE = 200  # seconds, which no test waits


def walk(seed: int) -> Episode:
    """One of three steps."""
    return Episode(
        seed=seed,
        start=Start(seed % 4, "ninja", 0),
        actions=np.full((3, 16), (0,) * 12 + (5, 10, 5, 5), np.uint8),
        log_probs=np.zeros(3, np.float32),
        embeddings=np.random.default_rng(seed).normal(size=(100, 5)).astype(np.float16),
        features=np.zeros((100, 5), np.float16),
        positions=np.zeros((4, 3), np.float32),
        ending=Ending.TRUNCATED,
        jumppad=None,
    )


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of fifty."""
    path = tmp_path_factory.mktemp("episodes") / "episodes.safetensors"
    write_episodes(path, [walk(seed) for seed in range(50)], {"trunk": "c" * 64})
    return path


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    return tmp_path / "answers.sqlite"


class Served:
    """`skygarden label` in a process of its own."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-m", "skygarden", "label", *map(str, arguments), "--no-browser", "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline() + self.process.stdout.readline()
        found = STARTING.match(self.said)
        assert found, self.said + self.process.communicate(timeout=PATIENCE)[1]
        self.base, self.token = found.groups()

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.base, headers={"authorization": f"Bearer {self.token}"}, timeout=PATIENCE)

    def end(self, how: signal.Signals) -> tuple[int, str]:
        """Its exit status and what it complained of."""
        self.process.send_signal(how)
        _, complaints = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, complaints


@pytest.fixture
def serve(episodes: Path, answers: Path) -> Iterator[Callable[..., Served]]:
    """Serves the page; what still runs after the test is killed."""
    with ExitStack() as stack:

        def start(*arguments: object) -> Served:
            served = Served(episodes, "--answers", answers, "--labeller", "anna", *arguments)
            stack.callback(served.process.communicate, timeout=PATIENCE)
            stack.callback(served.process.kill)
            return served

        yield start


def put(client: httpx2.Client, number: int, points: list[int]) -> httpx2.Response:
    body = {"labeller": "anna", "points": points, "seconds": 1.0}
    return client.put(f"/api/questions/{number}/answer", json=body)


@pytest.mark.slow
def test_label_serves_until_it_is_stopped_and_says_where(serve: Callable[..., Served], answers: Path) -> None:
    served = serve("--intent", "Walk ahead.", "--ask", "groups", "--items", "3", "--goal", "7")
    assert f"Answers are kept in {answers}. Stop with Ctrl+C." in served.said
    with served.client() as client:
        session = client.get("/api/session").json()
        assert (session["intent"], session["labeller"], session["mode"]) == ("Walk ahead.", "anna", "groups")
        assert (len(session["question"]["trajectories"]), session["question"]["points"]) == (3, 5)
        assert session["progress"]["goal"] == 7
        assert client.get("/", headers={"authorization": "Bearer foreign"}).status_code == 401
        assert put(client, session["question"]["id"], [1, 5, 5]).status_code == 200
        status, complaints = served.end(signal.SIGINT)  # while a browser is still connected
    assert status in (0, 130)
    assert "Traceback" not in complaints


@pytest.mark.slow
def test_what_the_service_said_to_be_saved_is_there_after_a_kill(
    serve: Callable[..., Served], answers: Path, episodes: Path
) -> None:
    served, given = serve(), dict[int, tuple[int, ...]]()
    with served.client() as client:
        session = client.get("/api/session").json()
        for k in range(25):
            number, points = session["question"]["id"], [1 + k % 2, 2 - k % 2]
            session = put(client, number, points).raise_for_status().json()
            given[number] = tuple(points)
        assert served.end(signal.SIGKILL)[0] == -signal.SIGKILL
    store = AnswerStore(answers, hash_of(episodes))
    try:
        assert {question.id: question.given for question in store.asked() if question.answered} == given
        assert len(store.open_questions("anna")) == 2
    finally:
        store.close()
    again = serve()
    with again.client() as client:
        assert client.get("/api/session").json()["progress"]["answered"] == 25
    assert again.token != served.token


@pytest.mark.parametrize(("port", "said"), [(None, "in use"), (70_000, "no port 70000"), (-1, "no port -1")])
def test_a_port_that_cannot_be_had_is_said(
    command: Callable[..., None],
    episodes: Path,
    answers: Path,
    capsys: pytest.CaptureFixture[str],
    port: int | None,
    said: str,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = port or taken.getsockname()[1]
        with pytest.raises(SystemExit, match="2"):
            command("label", episodes, "--answers", answers, "--no-browser", "--port", wanted)
    found = capsys.readouterr().err
    assert said in found
    assert "or 0 for any" in found
    assert not answers.exists()


def test_episodes_that_are_none_or_too_few_are_said(
    command: Callable[..., None], tmp_path: Path, answers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = tmp_path / "few.safetensors"
    write_episodes(few, [walk(seed) for seed in range(5)], {"trunk": "c" * 64})
    for path, said in ((few, "need 10 episodes, got 5"), (tmp_path / "none", "there is no checkpoint")):
        with pytest.raises(SystemExit, match="2"):
            command("label", path, "--answers", answers, "--no-browser", "--port", 0)
        assert said in capsys.readouterr().err
    assert not answers.exists()


def fill(answers: Path, episodes: Path) -> None:
    """Anna has ranked three and passed once, Bert has compared two pairs."""
    store = AnswerStore(answers, hash_of(episodes))
    try:
        for who, trajectories, points in (
            ("anna", (0, 5, 10), (1, 2, 2)),
            ("anna", (1, 6, 11), None),
            ("bert", (0, 5), (1, 2)),
            ("bert", (2, 7), (1, 1)),
        ):
            store.answer(store.ask(who, trajectories, 5, "random").id, who, points, 1.0)
    finally:
        store.close()


def table(said: str) -> list[list[str]]:
    """The rows of a table, as words."""
    return [re.findall(r"[\w-]+", line) for line in said.splitlines() if line.startswith("│")]


def test_answers_are_counted_by_labeller(
    command: Callable[..., None], episodes: Path, answers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(answers, episodes)
    command("answers", answers, "--episodes", episodes)
    assert table(capsys.readouterr().out) == [["anna", "1", "3"], ["bert", "2", "2"]]


def test_answers_are_taken_out_and_in_once(
    command: Callable[..., None], episodes: Path, answers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(answers, episodes)
    exported, other = tmp_path / "out" / "preferences.parquet", tmp_path / "other.sqlite"
    command("answers", answers, "--episodes", episodes, "--export-to", exported)
    assert "5 comparisons are in" in capsys.readouterr().out
    preferences = read_preferences(exported, hash_of(episodes))
    assert preferences.first.tolist() == [0, 0, 5, 0, 2]
    assert preferences.preference.tolist() == [0, 0, 0.5, 0, 0.5]
    for path, new in ((answers, 0), (other, 5), (other, 0)):
        command("answers", path, "--episodes", episodes, "--import-from", exported)
        said = capsys.readouterr().out
        assert said.startswith(f"{new} comparisons of ")
        assert table(said) == [["anna", "1", "3"], ["bert", "2", "2"]]


def test_what_cannot_be_taken_out_or_in_is_said(
    command: Callable[..., None], episodes: Path, answers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(answers, episodes)
    exported = tmp_path / "preferences.parquet"
    command("answers", answers, "--episodes", episodes, "--export-to", exported)
    beyond = read_preferences(exported, hash_of(episodes))
    beyond.second[-1] = 50
    write_preferences(tmp_path / "beyond.parquet", beyond)
    other = tmp_path / "other.safetensors"
    write_episodes(other, [walk(seed) for seed in range(60, 80)], {"trunk": "c" * 64})
    of_others = tmp_path / "of-others.sqlite"
    for path, about, arguments, said in (
        (tmp_path / "empty.sqlite", episodes, ("--export-to", exported), "nothing has been compared yet"),
        (answers, episodes, ("--import-from", tmp_path / "none"), "there are no preferences"),
        (answers, episodes, ("--import-from", tmp_path / "beyond.parquet"), "compares trajectory 50, and"),
        (of_others, other, ("--import-from", exported), "is about episodes"),
        (answers, other, (), "give another file for the answers"),
        (answers, tmp_path / "none", (), "there is no checkpoint"),
    ):
        with pytest.raises(SystemExit, match="2"):
            command("answers", path, "--episodes", about, *arguments)
        assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("name", "own"), [("anna", "anna"), ("a" * 50, "a" * 40), ("  anna k ", "anna k"), (None, "designer")]
)
def test_who_says_no_name_has_that_of_the_machine(monkeypatch: pytest.MonkeyPatch, name: str | None, own: str) -> None:
    def user() -> str:
        if name is None:
            raise KeyError("no such user")
        return name

    monkeypatch.setattr(module.getpass, "getuser", user)
    assert module.own_name() == own
