"""Laws of compiling: once, kept, and never in the way."""

import concurrent.futures
import re
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="moves the cache by XDG_CACHE_HOME")

ENTRY = """
import logging, sys
sys.path.insert(0, {folder!r})
import kernels
print(kernels.double(21), kernels.double(1.5))
"""

KERNELS = """
from envs.jit import entry, kernel

@kernel
def twice(x):
    return x + x

@entry
def double(x):
    return twice(x)
"""

CALLS_BESIDE = """
from beside import times
from envs.jit import entry

@entry
def double(x):
    return times(x)
"""

BESIDE = """
from envs.jit import kernel

@kernel
def times(x):
    return x * {factor}
"""

PLAY = """
import hashlib
import gymnasium as gym
import skygarden
env = gym.make("Skygarden-v0")
frames = hashlib.sha256(env.reset(seed=0)[0])
for _ in range(3):
    frames.update(env.step(env.action_space.sample() * 0)[0])
print(frames.hexdigest())
"""


@pytest.fixture
def small(tmp_path):
    """A program with a small kernel, and a cache folder that does not exist yet."""
    (tmp_path / "kernels.py").write_text(KERNELS)
    return ENTRY.format(folder=str(tmp_path)), str(tmp_path / "cache")


def test_a_kernel_is_compiled_once_says_so_and_is_kept(small, run_python):
    """In a folder named after a hash of the sources that it may call."""
    code, cache = small
    first, second = run_python(code, XDG_CACHE_HOME=cache), run_python(code, XDG_CACHE_HOME=cache)
    assert (first.stdout, second.stdout) == ("42 3.0\n", "42 3.0\n")
    assert first.stderr.count("compiling double") == 1
    assert second.stderr == ""
    (folder,) = (Path(cache) / "skygarden").iterdir()
    assert re.fullmatch(r"kernels-[0-9a-f]{16}", folder.name)


def test_an_edit_to_a_function_that_a_kernel_calls_in_another_file_compiles_it_anew(small, run_python, tmp_path):
    code, cache = small
    beside = tmp_path / "beside.py"
    (tmp_path / "kernels.py").write_text(CALLS_BESIDE)
    for factor, printed in ((2, "42 3.0\n"), (3, "63 4.5\n")):
        beside.write_text(BESIDE.format(factor=factor))
        first, second = run_python(code, XDG_CACHE_HOME=cache), run_python(code, XDG_CACHE_HOME=cache)
        assert (first.stdout, second.stdout) == (printed, printed)
        assert ("compiling double" in first.stderr, second.stderr) == (True, "")


@pytest.mark.parametrize("home", ["/dev/null/nowhere", "/proc/nowhere"])
def test_without_a_writable_home_the_kernels_work_and_leave_nothing(small, run_python, tmp_path, home):
    code, _ = small
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = run_python(code, XDG_CACHE_HOME=home, TMPDIR=str(temporary))
    assert done.stdout == "42 3.0\n"
    assert "no writable cache folder" in done.stderr
    assert not list(temporary.iterdir())  # it would grow by some megabytes with each process


def test_processes_that_start_at_once_with_an_empty_cache_all_work(small, run_python):
    code, cache = small
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: run_python(code, XDG_CACHE_HOME=cache), range(4)))
    assert [each.stdout for each in done] == ["42 3.0\n"] * 4
    assert run_python(code, XDG_CACHE_HOME=cache).stderr == ""


def test_a_second_process_plays_without_compiling(run_python):
    first, second = run_python(PLAY), run_python(PLAY)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout == second.stdout != ""
    assert "compiling" not in second.stderr


@pytest.mark.slow
def test_environments_that_start_at_once_with_an_empty_cache_all_work(run_python, tmp_path):
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: run_python(PLAY, XDG_CACHE_HOME=str(tmp_path)), range(3)))
    assert [each.returncode for each in done] == [0, 0, 0], "\n".join(each.stderr for each in done)
    assert len({each.stdout for each in done}) == 1
    assert "compiling" not in run_python(PLAY, XDG_CACHE_HOME=str(tmp_path)).stderr
