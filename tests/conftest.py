"""What all tests share: how hypothesis draws, the option that draws the golden images anew, a screen in memory."""

import os
import select
import shutil
import signal
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# The same examples in every run: a failure that comes and goes teaches people to run tests twice.
settings.register_profile("skygarden", deadline=None, derandomize=True, database=None)
settings.load_profile("skygarden")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --update-golden."""
    parser.addoption("--update-golden", action="store_true", help="draw tests/envs/golden/ anew instead of comparing")


# They start Ray, or many processes. Two Rays that start at once on two cores, say, can take longer than the 30 s that
# Ray gives itself.
_HEAVY = (
    "tests/chaos/",
    "tests/deploy/",
    "tests/rollout/rllib/",
    "tests/rollout/test_pool.py",
    "tests/skygarden/test_baseline.py",
)


class _Scheduler(LoadFileScheduling):
    """The tests of a file in one process, and all heavy ones in the same, so that one runs at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return "heavy" if nodeid.startswith(_HEAVY) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """Share the tests out among processes."""
    return _Scheduler(config, log)


PATIENCE = 30.0  # s that a busy machine may take to do what was asked


@contextmanager
def serving() -> Generator[tuple[str, "subprocess.Popen[bytes]"], None, None]:
    """An X server with one screen of 1280x1024 and 24 bits, on a display that is free: its name and its process."""
    binary = shutil.which("Xvfb")
    if binary is None:
        if os.environ.get("CI"):
            pytest.fail("no Xvfb here: install it (Debian: apt install xvfb), the tests of real windows need it")
        pytest.skip("no Xvfb here (Debian: apt install xvfb)")
    reading, writing = os.pipe()
    command = [binary, "-displayfd", str(writing), "-screen", "0", "1280x1024x24", "-nolisten", "tcp", "-noreset"]
    server = subprocess.Popen(command, pass_fds=(writing,), stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        ready, _, _ = select.select([reading], [], [], PATIENCE)
        number = os.read(reading, 64).decode().strip() if ready else ""
        if not number:
            pytest.fail(f"Xvfb named no display within {PATIENCE:g} s (exit status {server.poll()})")
        yield f":{number}", server
    finally:
        os.close(reading)
        stop(server)


def stop(server: "subprocess.Popen[bytes]") -> None:
    """End a server that may be stopped, hung or gone."""
    server.send_signal(signal.SIGCONT)
    server.terminate()
    try:
        server.wait(10.0)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait(10.0)


@pytest.fixture(scope="session")
def xvfb() -> Iterator[str]:
    """The name of an X display, like ":99", 1280x1024 with 24 bits; its server stops with the session.

    No window manager runs there. Nothing else in the process is told of it: pass the name on.
    """
    with serving() as (name, _):
        yield name


@pytest.fixture(scope="module")
def game_display(xvfb: str) -> Iterator[str]:
    """The same display, as an environment and the game that it starts find it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISPLAY", xvfb)
        patch.setenv("SDL_VIDEODRIVER", "x11")  # other tests have none
        yield xvfb


@pytest.fixture
def xvfb_server() -> Iterator[Callable[[], tuple[str, "subprocess.Popen[bytes]"]]]:
    """Start an X server that a test may kill or stop: its name and its process."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(serving())
