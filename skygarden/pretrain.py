"""The base policy: imitation of many people at play, all characters, nothing filtered."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from agents.data import Sequences
from agents.parameters import compute_device
from envs.errors import DataError
from envs.standin.gameplay import list_replays
from rollout.recordings import RecordedSequences, list_recordings
from rollout.replays import ReplaySequences, load_replays, whole
from skygarden.gameplay import record
from skygarden.policies import starting_policy
from skygarden.presets import Pretrain, loader
from skygarden.training import draw_held_out, run_training


def pretrain(stage: Pretrain, base: str, size: str, data: Path, out: Path, seed: int, device: str) -> Path:
    """Train a policy on people at play.

    Args: base: what to start from, a policy's name, or "scratch" for one of `size` with random weights.
      data: folder of recordings, or of gameplay, which is recorded where there is too little of it. out: folder of
      the run; one that was stopped there goes on.
    Returns: the policy's file.
    """
    console = Console()
    where = compute_device(device)
    paths, sequences = _open(data, stage.hours)
    held = max(1, round(stage.held_out * len(paths)))
    if held >= len(paths):
        raise DataError(f"{data} holds {len(paths)} files of play: too few to hold one out; add more")
    policy = starting_policy(base, size, seed).to(where)
    context = policy.config.context
    held_out = draw_held_out(sequences(paths[:held]), stage.held_out_windows, context)
    loss = run_training(
        policy,
        sequences(paths[held:]),
        held_out,
        loader(stage.training, stage.augment, context, seed),
        stage.training,
        out,
        {"stage": "pretrain", "base": base},
        {"settings": asdict(stage), "data": str(data), "files": len(paths) - held},
    )
    path = out / "policy.safetensors"
    console.print(f"{path}: held-out loss {loss.component:.4f} nats a component")
    return path


def _open(data: Path, hours: float) -> tuple[list[Path], Callable[[Sequence[Path]], Sequences]]:
    """The files of a folder, and how to read some of them."""
    recordings = list_recordings(data)
    if recordings:
        return recordings, RecordedSequences
    record(data, hours, seed=0)
    return list_replays(data), lambda paths: ReplaySequences(whole(load_replays(paths)))
