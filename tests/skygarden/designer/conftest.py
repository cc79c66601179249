"""A browser, and the service in a thread, for tests of the page that a designer works with."""

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
import uvicorn
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect, sync_playwright

from envs.backend import Start
from envs.episode import Ending, Episode
from rollout.preferences import Preferences
from skygarden.designer.interview import Interview, InterviewConfig
from skygarden.designer.questions import QuestionConfig
from skygarden.designer.service import make_app
from skygarden.designer.store import AnswerStore, Question

DIGEST = "e" * 64  # of the file of episodes
ANSWERS = "**/api/questions/**"  # where answers are sent
PATIENCE = 60_000  # ms, on a machine that is busy with something else
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run"
)


@dataclass(frozen=True)
class Seat:
    """A service that runs, and what it has kept."""

    address: str  # with the token
    answers: Path

    @property
    def store(self) -> AnswerStore:
        """The answers, read anew: what the page says is no evidence."""
        return AnswerStore(self.answers, DIGEST)

    def answered(self, labeller: str = "designer") -> list[Question]:
        """Questions of a labeller that have an answer, skipped ones too."""
        store = self.store
        try:
            return [question for question in store.asked() if question.answered and question.labeller == labeller]
        finally:
            store.close()

    def given(self, labeller: str = "designer") -> list[tuple[int, ...] | None]:
        """The answers of a labeller, in the order of asking."""
        return [question.given for question in self.answered(labeller)]

    def export(self) -> Preferences:
        """All comparisons, as they are written to a file of preferences."""
        store = self.store
        try:
            return store.preferences()
        finally:
            store.close()


SeatMaker = Callable[..., Seat]


def short_episode(seed: int, steps: int | None = None) -> Episode:
    """One of some tenths of a second, walking."""
    rng = np.random.default_rng(seed)
    steps = steps or 4 + seed % 5
    actions = np.zeros((steps, 16), np.uint8)
    actions[:, 12:] = 5
    actions[:, 13] = 10  # left stick: ahead
    return Episode(
        seed=seed,
        start=Start(seed % 4, "ninja", 0),
        actions=actions,
        log_probs=np.zeros(steps, np.float32),
        embeddings=rng.normal(0, 1, (100, 5)).astype(np.float16),
        features=np.zeros((100, 5), np.float16),
        positions=np.zeros((steps + 1, 3), np.float32),
        ending=Ending.TRUNCATED,
        jumppad=None,
    )


@dataclass(frozen=True)
class Judged:
    """Episodes, and what each is worth to somebody whose answers follow from that."""

    played: list[Episode]
    worth: list[int]  # no two alike

    def points(self, trajectories: Sequence[int]) -> list[int]:
        """Points from 1 to the number of trajectories, the best the most."""
        order = sorted(self.worth[k] for k in trajectories)
        return [1 + order.index(self.worth[k]) for k in trajectories]


@pytest.fixture(scope="session")
def judged() -> Judged:
    """Sixty episodes of three steps, whose embeddings tell what they are worth."""
    worth = np.random.default_rng(0).permutation(60)
    played = [replace(short_episode(seed, 3), embeddings=_telling(seed, rank)) for seed, rank in enumerate(worth)]
    return Judged(played, worth.tolist())


def _telling(seed: int, rank: int) -> NDArray[np.float16]:
    embeddings = np.random.default_rng(seed).normal(0, 0.1, (100, 5))
    embeddings[:, 2] += rank / 20 - 1.5
    return embeddings.astype(np.float16)


@contextmanager
def served(answers: Path, config: InterviewConfig, played: Sequence[Episode]) -> Iterator[Seat]:
    """The real service, in a thread."""
    token = "not-a-secret"
    with (
        Interview(config, played, DIGEST, "t" * 64, answers) as interview,
        socket.create_server(("127.0.0.1", 0)) as at,
    ):
        settings = uvicorn.Config(
            make_app(interview, token), log_level="critical", ws="none", lifespan="off", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [at]})
        thread.start()
        try:
            port = at.getsockname()[1]
            yield Seat(f"http://127.0.0.1:{port}/?{urlencode({'token': token})}", answers)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def seat(tmp_path: Path) -> Iterator[SeatMaker]:
    """Serves questions of so many trajectories, about short episodes; what was served is stopped after the test."""
    with ExitStack() as running:

        def make(items: int = 2, points: int = 5, episodes: int | None = None, goal: int | None = None) -> Seat:
            config = InterviewConfig(
                intent="The agent walks ahead.",
                goal=goal,
                questions=QuestionConfig(items=items, points=points),
            )
            played = [short_episode(seed) for seed in range(episodes or 10 * items)]
            return running.enter_context(served(tmp_path / "answers.sqlite", config, played))

        yield make


@pytest.fixture(scope="module")  # no longer: while it is open, no other test could run an event loop
def browser() -> Iterator[Browser]:
    """Chromium."""
    with sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("google-chrome") or playwright.chromium.executable_path
        if not Path(found).exists():
            missing = "no Chromium: install it (Debian: apt install chromium, elsewhere: playwright install chromium)"
            if os.environ.get("CI"):
                pytest.fail(missing)
            pytest.skip(missing)
        expect.set_options(timeout=PATIENCE)
        chromium = playwright.chromium.launch(executable_path=found, args=ARGUMENTS.split())
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages, each in a context of its own: another person's browser. No page may fail, or ask anybody else."""
    wrong: list[str] = []
    with ExitStack() as opened:

        def make(beside: Page | None = None, **settings: object) -> Page:
            if beside is None:
                context = browser.new_context(**settings)  # pyright: ignore[reportArgumentType]
                opened.callback(context.close)
                context.set_default_timeout(PATIENCE)
                # Chromium intercepts only some time after the first route of a page is set: not what is sent meanwhile.
                context.route(ANSWERS, lambda route: route.continue_())
            else:
                context = beside.context
            page = context.new_page()
            page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
            page.on("console", lambda said: wrong.append(said.text) if "Security Policy" in said.text else None)
            page.on(
                "request",
                lambda request: None if "//127.0.0.1:" in request.url else wrong.append(f"foreign: {request.url}"),
            )
            return page

        yield make
    assert wrong == []
