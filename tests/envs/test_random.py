"""How far one gets by chance."""

import numpy as np
import pytest

from envs.vector import SkygardenVectorEnv

EPISODES, COUNT = 1024, 64


@pytest.mark.slow
def test_of_1000_episodes_of_random_actions_at_most_1_in_100_reaches_a_pad(random_actions):
    """16 rounds of 64 episodes; who reaches a pad begins anew and may reach another, which is to its disadvantage."""
    env = SkygardenVectorEnv(COUNT, threads=2)
    reached = ended = 0
    for rounds in range(EPISODES // COUNT):
        env.reset(seed=rounds * COUNT, options={"character": "random", "skin": "random"})
        for actions in random_actions(rounds, 100, COUNT):
            _, _, terminated, truncated, _ = env.step(actions)
            reached += np.count_nonzero(terminated)
            ended += np.count_nonzero(terminated | truncated)
    env.close()
    assert ended >= 1000
    assert reached <= 0.01 * ended
