"""A real pad is read as a person's: a virtual one, here or in a guest whose kernel has uinput."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.envs.window.test_guest import GUEST, NO_GUEST

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("read_pad.py")
STEP = 1 / 32767  # of an axis


def states() -> list[tuple[list[Any], list[Any]]]:
    """What was pushed and what was read, state by state."""
    command = [sys.executable, "-W", "ignore", str(SCRIPT)]
    if not os.access("/dev/uinput", os.W_OK):
        if not os.access(GUEST, os.X_OK):
            pytest.skip(f"no real pad was read: /dev/uinput cannot be written, and there is no guest at {GUEST}")
        command = [str(GUEST), *command]
    environment = os.environ | {"SDL_JOYSTICK_DISABLE_UDEV": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=250)
    if done.returncode == NO_GUEST:
        pytest.skip(f"no real pad was read: the guest does not boot here\n{done.stderr}")
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[[")]


def test_a_pad_that_is_plugged_in_late_is_read_with_its_raw_axes():
    read = states()
    assert len(read) == 5
    for (pushed, *sticks), (held, *axes) in read:
        assert held == pushed
        assert axes[:4] == pytest.approx(sticks, abs=2 * STEP)
        assert axes[4:] == [float("LT" in held), float("RT" in held)]
