"""Serves the page on which a person compares trajectories, and takes answers in and out of their file."""

import getpass
import secrets
import socket
import webbrowser
from contextlib import suppress
from pathlib import Path
from threading import Timer
from urllib.parse import urlencode

import uvicorn
from rich.console import Console
from rich.table import Table

from agents.reward import load_reward
from envs.errors import DataError, OptionError
from rollout.preferences import read_preferences, write_preferences
from rollout.store import read_episodes
from skygarden.designer.interview import Interview, InterviewConfig
from skygarden.designer.service import make_app
from skygarden.designer.store import AnswerStore
from skygarden.rewarding import hash_of


def label(
    config: InterviewConfig,
    episodes: Path,
    answers: Path,
    reward: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8765,
    browser: bool = True,
) -> None:
    """Serve the page until it is stopped.

    Args: episodes: as `skygarden collect` writes them. answers: the file that answers are kept in. reward: a reward
      model whose scores are compared with the answers. port: 0 is any. browser: whether to open the page.
    Raises: OptionError: the port is taken. DataError: there is too little to ask about.
    """
    played, about = read_episodes(episodes)
    artefact = None if reward is None else load_reward(reward)
    token = secrets.token_urlsafe(16)
    with (
        _listening(host, port) as listener,
        Interview(config, played, hash_of(episodes), about["trunk"], answers, artefact) as interview,
    ):
        address = f"http://{host}:{listener.getsockname()[1]}/?{urlencode({'token': token})}"
        console = Console()
        console.print(f"Compare trajectories at [bold]{address}[/bold]", soft_wrap=True)
        console.print(f"Answers are kept in {answers}. Stop with Ctrl+C.", soft_wrap=True)
        opening = Timer(1.0, webbrowser.open, [address])  # by then the service below answers
        opening.daemon = True
        if browser:
            opening.start()
        server = uvicorn.Server(uvicorn.Config(make_app(interview, token), log_level="warning"))
        with suppress(KeyboardInterrupt):  # by which it was stopped: uvicorn raises it again when it has
            server.run(sockets=[listener])


def manage_answers(answers: Path, episodes: Path, exported: Path | None, imported: Path | None) -> None:
    """Show what labellers have answered; write all comparisons to a preference file, or add those of one.

    Raises: DataError: there is nothing to write, or a file is about other episodes, or about more than there are.
    """
    played, _ = read_episodes(episodes)
    digest = hash_of(episodes)
    store = AnswerStore(answers, digest)
    try:
        if imported is not None:
            given = read_preferences(imported, digest)
            if given.furthest >= len(played):
                raise DataError(f"{imported} compares trajectory {given.furthest}, and {episodes} holds {len(played)}")
            added = store.add(given)
            print(f"{added} comparisons of {imported} were new")
        if exported is not None:
            preferences = store.preferences()
            write_preferences(exported, preferences)
            print(f"{len(preferences)} comparisons are in {exported}")
        said = store.comparisons()
        table = Table("labeller", "answers", "comparisons")
        for name in sorted({comparison.labeller for comparison in said}):
            own = [comparison for comparison in said if comparison.labeller == name]
            table.add_row(name, str(len({comparison.group for comparison in own})), str(len(own)))
        Console().print(table)
    finally:
        store.close()


def own_name() -> str:
    """The name of who uses this machine."""
    try:
        return getpass.getuser().strip()[:40].strip() or "designer"
    except (OSError, KeyError):  # a container may have a user without a name
        return "designer"


def _listening(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65_535:
        raise OptionError(f"there is no port {port}; choose one up to 65535, or 0 for any")
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise OptionError(f"cannot serve at {host}:{port} ({error}); choose another --port, or 0 for any") from error
