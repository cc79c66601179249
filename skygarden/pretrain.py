"""The base policy: imitation of many people at play, all characters, nothing filtered."""

from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console

from agents.parameters import compute_device
from agents.policy import Policy, config_of
from envs.errors import DataError
from envs.standin.gameplay import list_replays
from rollout.replays import ReplaySequences, load_replays, whole
from skygarden.gameplay import record
from skygarden.presets import Pretrain, loader
from skygarden.training import draw_held_out, run_training


def pretrain(stage: Pretrain, size: str, data: Path, out: Path, seed: int, device: str) -> Path:
    """Train a policy from nothing on gameplay, which is recorded first where there is too little of it.

    Args: data: folder of gameplay. out: folder of the run; one that was stopped there goes on.
    Returns: the policy's file.
    """
    console = Console()
    record(data, stage.hours, seed=0)
    paths = list_replays(data)
    held = max(1, round(stage.held_out * len(paths)))
    if held >= len(paths):
        raise DataError(f"{data} holds {len(paths)} matches: too few to hold some out; record more hours")
    replays = load_replays(paths)
    policy = Policy(config_of(size), torch.Generator().manual_seed(seed)).to(compute_device(device))
    context = policy.config.context
    held_out = draw_held_out(ReplaySequences(whole(replays[:held])), stage.held_out_windows, context)
    loss = run_training(
        policy,
        ReplaySequences(whole(replays[held:])),
        held_out,
        loader(stage.training, stage.augment, context, seed),
        stage.training,
        out,
        {"stage": "pretrain", "settings": asdict(stage), "matches": len(paths) - held},
    )
    path = out / "policy.safetensors"
    console.print(f"{path}: held-out loss {loss.component:.4f} nats a component")
    return path
