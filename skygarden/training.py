"""A training run as a person sees it: progress with the time left, TensorBoard curves, a loss on what is held out."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from agents.data import Loader, LoaderConfig, Sequences
from agents.imitation import Batch, ImitationConfig, Losses, Metrics, evaluate, train
from agents.parameters import compute_dtype
from agents.policy import Policy
from envs.errors import DataError
from skygarden.pictures import curves

HELD_OUT_SEED = 1_000_003  # the windows on which every run is measured
_CURVES = "tensorboard"


def run_training(
    policy: Policy,
    sequences: Sequences,
    held_out: Sequence[Batch],
    loader: LoaderConfig,
    config: ImitationConfig,
    folder: Path,
    identity: dict[str, Any],
    notes: dict[str, Any] | None = None,
) -> Losses:
    """Train a policy in place, or go on where the run in `folder` stopped, and show how it goes.

    Args: held_out: batches to measure the loss on at every checkpoint. identity: what else makes it this run and no
      other. notes: kept with the checkpoints.
    Returns: the last loss on what is held out.
    Raises: as `agents.imitation.train`.
    """
    dtype = compute_dtype(config.precision, next(policy.parameters()).device)
    last: Losses | None = None
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    text = TextColumn("{task.description}")
    with closing(_Curves(folder)) as shown, Progress(*columns, text, speed_estimate_period=600) as bar:
        task = bar.add_task("", total=config.updates)
        identity = {
            **identity,
            "window": loader.length,
            "seed": loader.seed,
            "augment": asdict(loader.augment) if loader.augment else None,
        }
        for metrics in train(policy, Loader(sequences, loader), config, folder, identity, notes):
            shown.add(metrics)
            line = f"loss {metrics.losses.component:.4f} nats a component, {metrics.frames_per_second:.0f} frames/s"
            bar.update(task, completed=metrics.update, description=line)
            if metrics.update % config.checkpoint_every == 0 or metrics.update == config.updates:
                last = evaluate(policy, held_out, dtype)
                shown.add_held_out(metrics.update, last)
                bar.print(f"{metrics.update} updates, kept: {line}; held out {last.component:.4f}")
    if series := read_curves(folder):
        curves(folder / "curve.png", series, f"{folder.name}: loss by update")
    return last or evaluate(policy, held_out, dtype)


def draw_held_out(sequences: Sequences, windows: int, length: int, batch: int = 16) -> list[Batch]:
    """Windows to measure a loss on, the same every time, without augmentation.

    Raises: DataError: nothing is done in any of them.
    """
    config = LoaderConfig(batch_size=min(batch, windows), length=length, augment=None, seed=HELD_OUT_SEED)
    batches = list(islice(Loader(sequences, config)(0), -(-windows // config.batch_size)))
    if not any(batch.counted.any() for batch in batches):
        raise DataError(f"in {windows} windows of what is held out nobody presses anything; give other play")
    return batches


def read_curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """A run's losses, nats a component, by what they were measured on: pairs of an update and a loss."""
    if not (folder / _CURVES).is_dir():
        return {}
    events = EventAccumulator(str(folder / _CURVES), size_guidance={"scalars": 0})
    events.Reload()
    kinds = {kind: _tag("component", kind) for kind in ("training", "held out")}
    return {
        kind: [(event.step, event.value) for event in events.Scalars(tag)]
        for kind, tag in kinds.items()
        if tag in events.Tags()["scalars"]
    }


class _Curves:
    """A run's TensorBoard curves; one that goes on takes the place of what was lost with the run before it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / _CURVES
        self._writer: Any = None

    def add(self, metrics: Metrics) -> None:
        if self._writer is None:
            self._writer = SummaryWriter(self._folder, purge_step=metrics.update)
        self._add_losses("training", metrics.update, metrics.losses)
        for name in ("learning_rate", "gradient_norm", "frames_per_second", "waited"):
            self._writer.add_scalar(f"run/{name}", getattr(metrics, name), metrics.update)
        self._writer.flush()  # before the checkpoint, or a run that is killed then lacks a point for ever

    def add_held_out(self, update: int, losses: Losses) -> None:
        self._add_losses("held out", update, losses)
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _add_losses(self, kind: str, update: int, losses: Losses) -> None:
        for name, value in asdict(losses).items():
            self._writer.add_scalar(_tag(name, kind), value, update)


def _tag(name: str, kind: str) -> str:
    return f"loss {name}/{kind}"
