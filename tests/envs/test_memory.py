"""How much memory environments take."""

import sys

import pytest

BATCHED = """
import gymnasium as gym
env = gym.make_vec("skygarden:Skygarden-v0", num_envs=64, vectorization_mode="vector_entry_point", threads=2)
env.reset(seed=0)
for _ in range(20):
    env.step(env.action_space.sample())
"""

SINGLE = """
import gymnasium as gym
envs = [gym.make("skygarden:Skygarden-v0") for _ in range(64)]
for env in envs:
    env.reset(seed=0)
    env.step(env.action_space.sample())
"""

# Of this process image alone: getrusage's figure also covers whoever started it.
PEAK = """
print(next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("code", [BATCHED, SINGLE], ids=["batched", "single"])
def test_64_environments_in_one_process_stay_under_400_mb(run_python, code):
    run_python(code)  # compiles, where that is still to be done
    done = run_python(code + PEAK)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 400
