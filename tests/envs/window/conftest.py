"""What the tests of real windows share: a screen that only the machine's memory shows."""

import os
import select
import shutil
import signal
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager

import pytest

PATIENCE = 30.0  # s that a server may take to start on a busy machine


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


@pytest.fixture
def xvfb_server() -> Iterator[Callable[[], tuple[str, "subprocess.Popen[bytes]"]]]:
    """Start an X server that a test may kill or stop: its name and its process."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(serving())
