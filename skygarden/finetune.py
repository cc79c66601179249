"""Supervised fine-tuning: imitation of successful trajectories of one character."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from agents.parameters import compute_device
from envs.standin.gameplay import list_replays
from rollout.replays import ReplaySequences, Span, curate, load_replays
from skygarden.gameplay import record
from skygarden.policies import SCRATCH, starting_policy
from skygarden.presets import KEPT, Finetune, loader
from skygarden.training import draw_held_out, run_training


def finetune(stage: Finetune, base: str, size: str, data: Path, out: Path, seed: int, device: str) -> Path:
    """Fine-tune a policy, or train one from scratch, on curated trajectories.

    Args: base: a policy's name, or "scratch" for one of `size` with random weights. data: folder of gameplay of the
      stage's character, recorded where there is too little. out: folder of the run; one that was stopped goes on.
    Returns: the policy's file.
    """
    where = compute_device(device)
    policy = starting_policy(base, size, seed)
    record(data, stage.hours, seed=1, character=stage.character)
    replays, per_pad = load_replays(list_replays(data)), stage.per_pad + stage.held_out_per_pad
    learnt, held = _split(curate(replays, stage.character, per_pad, stage.sights), stage)
    context = policy.config.context
    config = stage.scratch if base == SCRATCH else stage.training
    loss = run_training(
        policy.to(where),
        ReplaySequences(learnt),
        draw_held_out(ReplaySequences(held), stage.held_out_windows, context),
        loader(config, stage.augment, context, seed, KEPT),
        config,
        out,
        {"stage": "finetune", "base": base},
        {"settings": asdict(stage), "data": str(data), "trajectories": len(learnt)},
    )
    path = out / "policy.safetensors"
    Console().print(f"{path}: held-out loss {loss.component:.4f} nats a component")
    return path


def _split(spans: Sequence[Span], stage: Finetune) -> tuple[list[Span], list[Span]]:
    """What is learnt from, and what is held out: the last of each pad's."""
    total = stage.per_pad + stage.held_out_per_pad
    learnt = [span for k, span in enumerate(spans) if k % total < stage.per_pad]
    return learnt, [span for k, span in enumerate(spans) if k % total >= stage.per_pad]
