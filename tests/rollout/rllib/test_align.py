"""Laws of the algorithm: it ends where the core ends, through kills, checkpoints and Tune."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

pytest.importorskip("ray")

from agents.checkpoint import load_policy, trunk_hash
from agents.inference import ActorConfig
from agents.policy import Head
from agents.reinforce import ReinforceConfig
from agents.reward import load_reward
from envs.errors import StepError
from rollout.delivery.assignment import Contract
from rollout.direct import DirectWorkers
from rollout.learner import OnlineConfig, train_online
from rollout.player import Player
from rollout.rllib.align import SkygardenReinforce, SkygardenReinforceConfig
from rollout.rllib.workers import InProcess, InProcesses, Playing
from rollout.store import write_episodes

REINFORCE = ReinforceConfig(batch_size=4, learning_rate=1e-2, baseline="value", passes=4)
ONLINE = OnlineConfig(updates=3, reinforce=REINFORCE, schedule="linear", checkpoint_every=100)
HERE = InProcess(processors=1)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]


def config_of(files: Any, online: OnlineConfig, playing: Playing = HERE, **others: Any) -> SkygardenReinforceConfig:
    """RLlib's settings of a run."""
    named = {"policy": files.policy, "reward": files.reward, "reference": files.reference}
    return SkygardenReinforceConfig().alignment(**named, online=online, playing=playing, **others)


@contextmanager
def built(config: SkygardenReinforceConfig) -> Iterator[SkygardenReinforce]:
    """An algorithm that is stopped afterwards."""
    algorithm: Any = config.build_algo()
    try:
        yield algorithm
    finally:
        algorithm.stop()


def head_of_core(files: Any, online: OnlineConfig, folder: Path, primer: Any = ()) -> Head:
    """The head that the core ends in."""
    policy, reference = load_policy(files.policy)[0], load_policy(files.reference)[0]
    trunk, reward = trunk_hash(policy), load_reward(files.reward)
    contract = Contract(
        trunk=trunk, width=32, reads=reward.reads, context=online.context, temperature=online.temperature
    )
    workers = DirectWorkers(Player(load_policy(files.policy)[0], ActorConfig(processors=1)), contract)
    assert list(train_online(policy, reference, reward, trunk, workers, online, folder, primer=primer))
    return policy.head


def head_of(algorithm: SkygardenReinforce, folder: Path) -> Head:
    """The head that an algorithm has now, as its checkpoint keeps it for others."""
    algorithm.save_checkpoint(str(folder))
    return load_policy(folder / "policy.safetensors")[0].head


def assert_same(a: Head, b: Head) -> None:
    """Two heads have the same weights."""
    for name, tensor in a.state_dict().items():
        assert torch.equal(tensor, b.state_dict()[name]), name


def test_a_run_through_rllib_ends_in_the_weights_of_the_cores_bit_for_bit(files: Any, tmp_path: Path) -> None:
    with built(config_of(files, ONLINE)) as algorithm:
        results = [algorithm.train() for _ in range(3)]
        with pytest.raises(StepError, match="all 3 updates of this run are done"):
            algorithm.train()
        assert_same(head_of(algorithm, tmp_path / "rllib"), head_of_core(files, ONLINE, tmp_path / "core"))
    assert [(result["updates"], result["done"]) for result in results] == [(1, False), (2, False), (3, True)]
    assert [result["num_env_steps_sampled_lifetime"] for result in results] == [400, 800, 1200]
    for result in results:
        played, learnt = result["env_runners"], result["learners"]["default_policy"]
        assert sum(played["reached"].values()) == played["num_episodes"] == 4
        assert played["episode_return_mean"] == learnt["score"]
        assert np.isfinite([learnt[name] for name in ("kl", "entropy", "gradient_norm", "importance_weight")]).all()
    rates = [result["learners"]["default_policy"]["default_optimizer_learning_rate"] for result in results]
    assert rates == pytest.approx([1e-2, 2e-2 / 3, 1e-2 / 3])


def test_the_critic_learns_from_the_primer_as_in_the_core(files: Any, tmp_path: Path) -> None:
    policy = load_policy(files.policy)[0]
    primer = [episode for _, episode in Player(policy, ActorConfig(processors=1)).play(range(4), 0)]
    write_episodes(tmp_path / "primer.safetensors", primer, {})
    online = OnlineConfig(updates=1, reinforce=REINFORCE)
    with built(config_of(files, online, primer=tmp_path / "primer.safetensors")) as algorithm:
        algorithm.train()
        assert_same(head_of(algorithm, tmp_path), head_of_core(files, online, tmp_path / "core", primer))


def test_ten_iterations_survive_a_killed_worker(files: Any, tmp_path: Path) -> None:
    online = OnlineConfig(updates=10, reinforce=REINFORCE, shares=2)
    with built(config_of(files, online, InProcesses())) as algorithm:
        for iteration in range(10):
            if iteration == 3:
                workers = [one for one in psutil.Process().children() if "worker" in one.cmdline()]
                assert len(workers) == 2
                workers[0].kill()
            assert algorithm.train()["updates"] == iteration + 1
        assert_same(head_of(algorithm, tmp_path / "rllib"), head_of_core(files, online, tmp_path / "core"))
    assert not [one for one in psutil.Process().children() if "worker" in one.cmdline()]


def test_a_restored_run_continues_the_count_and_the_weights(files: Any, tmp_path: Path) -> None:
    with built(config_of(files, ONLINE)) as algorithm:
        for _ in range(2):
            algorithm.train()
        algorithm.save(str(tmp_path / "kept"))
        algorithm.train()
        expected = head_of(algorithm, tmp_path / "whole")
        algorithm.restore(str(tmp_path / "kept"))  # back, in the middle of a run, as population-based training does
        assert algorithm.train()["updates"] == 3
        assert_same(head_of(algorithm, tmp_path / "back"), expected)
    with built(config_of(files, ONLINE)) as algorithm:
        algorithm.restore(str(tmp_path / "kept"))
        result = algorithm.train()
        assert (result["updates"], result["training_iteration"], result["done"]) == (3, 3, True)
        assert result["num_env_steps_sampled_lifetime"] == 1200
        assert_same(head_of(algorithm, tmp_path / "restored"), expected)
    algorithm = SkygardenReinforce.from_checkpoint(str(tmp_path / "kept"))
    assert algorithm.train()["updates"] == 3
    assert_same(head_of(algorithm, tmp_path / "made"), expected)
    algorithm.stop()


def test_two_trials_of_tune_run(files: Any, tmp_path: Path) -> None:
    from ray import tune

    online = OnlineConfig(updates=2, reinforce=REINFORCE, shares=1)
    config: Any = config_of(files, online, changes={"learning_rate": tune.grid_search([1e-3, 1e-2])})
    found: Any = tune.Tuner(
        SkygardenReinforce,
        param_space=config,
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
    ).fit()
    assert not found.errors
    rates = [result.metrics["learners"]["default_policy"]["default_optimizer_learning_rate"] for result in found]
    assert rates == pytest.approx([1e-3, 1e-2])
    assert [result.metrics["updates"] for result in found] == [2, 2]
