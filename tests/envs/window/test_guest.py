"""The tests of a real virtual pad where this machine has no /dev/uinput: in a User-Mode Linux guest that has.

The guest is a program that boots such a kernel and runs a command in it, found through the environment variable
SKYGARDEN_GUEST or at ../shared/uml/run beside the project. It has one processor, and system calls take a hundred times
as long as here, so what is played there is judged by what came of it. It sees a copy of this machine's files, the
kernels that are compiled here among them: compiling them there takes minutes.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import stop

ROOT = Path(__file__).parents[3]
GUEST = Path(os.environ.get("SKYGARDEN_GUEST", ROOT.parent / "shared/uml/run"))
NO_GUEST = 125  # its exit status where it cannot boot
COMPILING = 300.0  # s, on a busy machine


@pytest.fixture(scope="module")
def guest() -> Path:
    """The guest; where none is needed or there, the test is left out and says so."""
    if os.access("/dev/uinput", os.W_OK):
        pytest.skip("/dev/uinput can be written here: the tests of real pads run as they are")
    if not os.access(GUEST, os.X_OK):
        pytest.skip(f"no real pad was tested: /dev/uinput cannot be written, and there is no guest at {GUEST}")
    return GUEST


@pytest.fixture
def compiled(guest: Path, tmp_path: Path) -> None:
    """The game's kernels are compiled: it compiles what it needs before it has a window."""
    assert guest
    log = tmp_path / "log.jsonl"
    game = subprocess.Popen(
        [sys.executable, "-m", "skygarden", "game", "--log", str(log)],
        cwd=ROOT,
        env={**os.environ, "SDL_VIDEODRIVER": "dummy"},
    )
    try:
        end = time.monotonic() + COMPILING
        while not log.exists() or "menu" not in log.read_text(encoding="utf-8"):
            assert game.poll() is None, "the game ended"
            assert time.monotonic() < end, f"the game did not begin within {COMPILING:g} s"
            time.sleep(0.1)
    finally:
        stop(game)


def passes(guest: Path, file: str, tests: int, limit: int) -> None:
    """Have so many tests of a file pass in the guest, within so many seconds."""
    command = [str(guest), sys.executable, "-m", "pytest", f"tests/envs/window/{file}", "-sv", "--color=no"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, "UML_TIMEOUT": str(limit)},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == NO_GUEST:
        pytest.skip(f"no real pad was tested: the guest does not boot here\n{done.stderr}")
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{tests} passed" in done.stdout


@pytest.mark.timeout(600)
def test_a_real_pad_passes_its_tests_in_a_guest(guest: Path):
    passes(guest, "test_uinput.py", tests=15, limit=500)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("compiled")
def test_the_game_is_played_by_a_real_pad_in_a_guest(guest: Path):
    passes(guest, "test_uinput_game.py", tests=4, limit=240)
