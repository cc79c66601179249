"""What the tests of RLlib share: one small Ray, a tiny policy and a reward model that has not learnt anything."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from agents.checkpoint import load_policy, save_policy, trunk_hash
from agents.policy import Policy, PolicyConfig
from agents.reward import RewardArtefact, RewardModel, save_reward


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Ray with two processors, which nobody else can reach and which leaves nothing at home."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path_factory.mktemp("results")))
        patch.setenv("RAY_AUTH_MODE", "disabled")  # else a token file in somebody's home decides
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield
        ray.shutdown()


@dataclass(frozen=True)
class Files:
    """A policy, another of the same trunk to measure the KL divergence to, and a reward model that scores."""

    policy: Path
    reference: Path
    reward: Path


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files of a run."""
    folder = tmp_path_factory.mktemp("start")
    made = Files(*(folder / f"{name}.safetensors" for name in ("policy", "reference", "reward")))
    policy = Policy(PolicyConfig(width=32, layers=2, heads=2, context=8), torch.Generator().manual_seed(0))
    save_policy(policy, made.policy)
    model = RewardModel(32, torch.Generator().manual_seed(1))
    save_reward(RewardArtefact(model, "embeddings", trunk_hash(policy), 0.5, {"wanted": "left"}), made.reward)
    other, _ = load_policy(made.policy)
    with torch.no_grad():
        other.head.out.bias.add_(0.1 * torch.randn(68, generator=torch.Generator().manual_seed(2)))
    save_policy(other, made.reference)
    return made
