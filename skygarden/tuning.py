"""Preference fine-tuning: the head learns from the episodes that the reward model scores best."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from agents.checkpoint import load_policy, save_policy, trunk_hash
from agents.head_tuning import best, tune_head
from agents.imitation import counted
from agents.reward import load_reward
from envs.errors import CheckpointError, DataError
from rollout.store import read_episodes
from skygarden.policies import policy_path
from skygarden.presets import Tuning


def tune(stage: Tuning, policy: str, episodes: Path, reward: Path, out: Path, seed: int) -> Path:
    """Fine-tune a policy's head on the best of the episodes that it played.

    Args: policy: who played them. reward: the reward model's file; of the episodes those are learnt from that it may
      have been trained on, its test episodes are left alone. out: folder for `policy.safetensors`.
    Returns: the policy's file.
    Raises: CheckpointError: policy, episodes and reward model have different trunks.
    """
    tuned, _ = load_policy(policy_path(policy))
    artefact = load_reward(reward)
    played, about = read_episodes(episodes)
    trunks = {"the policy": trunk_hash(tuned), "the episodes": about["trunk"], "the reward model": artefact.trunk}
    if len(set(trunks.values())) != 1:
        listed = ", ".join(f"{name} {trunk[:12]}" for name, trunk in trunks.items())
        raise CheckpointError(f"one trunk is needed, got {listed}; collect and compare episodes of this policy")
    learnt = played[: artefact.about.get("learnable")]
    chosen = [learnt[int(k)] for k in best(artefact.score_episodes(learnt, artefact.trunk), stage.share)]
    features = torch.as_tensor(np.concatenate([episode.features[: len(episode)] for episode in chosen]))
    actions = torch.as_tensor(np.concatenate([episode.actions for episode in chosen]))
    acted = counted(actions, torch.ones(len(actions), dtype=torch.bool))
    if not acted.any():
        raise DataError("in the best episodes nobody presses anything; collect others")
    config = replace(stage.training, seed=seed)
    for _ in track(tune_head(tuned.head, features[acted], actions[acted], config), "tuning", total=config.updates):
        pass
    path = out / "policy.safetensors"
    save_policy(tuned, path, {"stage": "preference fine-tuning", "from": policy, "settings": asdict(stage)})
    Console().print(f"{path}: learnt from {len(chosen)} episodes")
    return path
