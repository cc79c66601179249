"""The tests of a real virtual pad where this machine has no /dev/uinput: in a User-Mode Linux guest that has.

The guest is a program that boots such a kernel and runs a command in it, found through the environment variable
SKYGARDEN_GUEST or at ../shared/uml/run beside the project.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
GUEST = Path(os.environ.get("SKYGARDEN_GUEST", ROOT.parent / "shared/uml/run"))
NO_GUEST = 125  # its exit status where it cannot boot
TESTS = 12  # in test_uinput.py


@pytest.mark.timeout(600)
def test_a_real_pad_passes_its_tests_in_a_guest():
    if os.access("/dev/uinput", os.W_OK):
        pytest.skip("/dev/uinput can be written here: test_uinput.py runs as it is")
    if not os.access(GUEST, os.X_OK):
        pytest.skip(f"no real pad was tested: /dev/uinput cannot be written, and there is no guest at {GUEST}")
    command = [str(GUEST), sys.executable, "-m", "pytest", "tests/envs/window/test_uinput.py", "-sv", "--color=no"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, "UML_TIMEOUT": "500"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == NO_GUEST:
        pytest.skip(f"no real pad was tested: the guest does not boot here\n{done.stderr}")
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{TESTS} passed" in done.stdout
