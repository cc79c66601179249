"""A training run as a person sees it: progress with the time left, TensorBoard curves, a loss on what is held out."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from agents.data import Loader, LoaderConfig, Sequences
from agents.imitation import Batch, ImitationConfig, Losses, Metrics, evaluate, train
from agents.parameters import compute_dtype
from agents.policy import Policy

HELD_OUT_SEED = 1_000_003  # the windows on which every run is measured


def run_training(
    policy: Policy,
    sequences: Sequences,
    held_out: Sequence[Batch],
    loader: LoaderConfig,
    config: ImitationConfig,
    folder: Path,
    notes: dict[str, Any],
) -> Losses:
    """Train a policy in place, or go on where the run in `folder` stopped, and show how it goes.

    Args: held_out: batches to measure the loss on at every checkpoint. notes: kept with the checkpoints.
    Returns: the last loss on what is held out.
    Raises: as `agents.imitation.train`.
    """
    source = Loader(sequences, loader)
    device = next(policy.parameters()).device
    dtype = compute_dtype(config.precision, device)
    last: Losses | None = None
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    text = TextColumn("{task.description}")
    with SummaryWriter(folder / "tensorboard") as writer, Progress(*columns, text, speed_estimate_period=600) as bar:
        task = bar.add_task("", total=config.updates)
        for metrics in train(policy, source, config, folder, {"loader": asdict(loader), **notes}):
            _write(writer, metrics)
            if metrics.update % config.checkpoint_every == 0 or metrics.update == config.updates:
                last = evaluate(policy, held_out, dtype)
                _write_losses(writer, "held out", last, metrics.update)
            known = f", held out {last.component:.4f}" if last else ""
            loss = f"loss {metrics.losses.component:.4f}{known} nats, {metrics.frames_per_second:.0f} frames/s"
            bar.update(task, completed=metrics.update, description=loss)
    return last or evaluate(policy, held_out, dtype)


def draw_held_out(sequences: Sequences, windows: int, length: int, batch: int = 16) -> list[Batch]:
    """Windows to measure a loss on, the same every time, without augmentation."""
    config = LoaderConfig(batch_size=min(batch, windows), length=length, augment=None, seed=HELD_OUT_SEED)
    return list(islice(Loader(sequences, config)(0), -(-windows // config.batch_size)))


def _write(writer: Any, metrics: Metrics) -> None:
    _write_losses(writer, "training", metrics.losses, metrics.update)
    for name in ("learning_rate", "gradient_norm", "frames_per_second", "waited"):
        writer.add_scalar(f"run/{name}", getattr(metrics, name), metrics.update)


def _write_losses(writer: Any, kind: str, losses: Losses, update: int) -> None:
    for name, value in asdict(losses).items():
        writer.add_scalar(f"loss {name}/{kind}", value, update)
