"""How fast a policy trains on real data, as a ratio to the same step on tensors that are already in memory.

Real data are gameplay that is drawn anew, as pre-training reads it, and 300 trajectories whose frames are kept, as
fine-tuning does once it has seen each; both are augmented. All are measured in turns in the same run, with the data
threads working only in the turns that are theirs. Then where the time goes: each part alone, on one thread, a frame.
Usage:

    python bench/train.py [--sizes 4m 103m] [--turns 5] [--updates 6]
"""

import sys

sys.path.append(sys.path.pop(0))  # rollout.py beside this is not the package `rollout`

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from typing import cast

import numpy as np
import torch

from agents.augment import VPT, apply, draw
from agents.data import Kept, Loader, LoaderConfig, Sequences
from agents.imitation import Batch, ImitationConfig, component_losses, make_replicas, train_step
from agents.parameters import compute_dtype
from agents.policy import Policy, config_of
from envs.standin.gameplay import record_match
from rollout.replays import ReplaySequences, curate, whole
from skygarden.presets import KEPT

MATCHES = 24  # two hours of gameplay
NINJAS = 96  # matches of one character, in which there are PER_PAD trajectories to each pad
PER_PAD = 100
BATCHES = {"4m": 32, "25m": 32, "103m": 16}  # windows, half of them on either of two processors


def rate(batches: Iterator[Batch], step: Callable[[Batch], object], updates: int) -> float:
    """Frames a second over a number of updates; the first, which may start threads, is not counted."""
    step(next(batches))
    start = time.perf_counter()
    frames = 0
    for batch in islice(batches, updates):
        step(batch)
        frames += batch.counted.numel()
    return frames / (time.perf_counter() - start)


def gameplay() -> dict[str, Sequences]:
    """Real data, by how it is read; what is kept has all been read before."""
    ninjas = [record_match(1, k, "ninja") for k in range(NINJAS)]
    kept = Kept(ReplaySequences(curate(ninjas, "ninja", PER_PAD)), KEPT)
    for index, steps in enumerate(kept.lengths.tolist()):
        kept.read(index, 0, steps)
    return {"drawn anew": ReplaySequences(whole([record_match(0, k) for k in range(MATCHES)])), "kept": kept}


def compare(size: str, loaders: dict[str, Loader], batch: Batch, turns: int, updates: int) -> dict[str, list[float]]:
    """Frames a second on a batch in memory and with each loader, for each turn."""
    config = ImitationConfig(batch_size=BATCHES[size], micro_batch=BATCHES[size] // 2, learning_rate=1e-5)
    policy = Policy(config_of(size), torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(policy.train_only("all"), fused=True)
    rates: dict[str, list[float]] = {kind: [] for kind in ("memory", *loaders)}
    with closing(make_replicas(policy, config)) as replicas:

        def step(batch: Batch) -> None:
            train_step(replicas, optimizer, batch, config, 0)

        for _ in range(turns):
            rates["memory"].append(rate(iter([batch] * (updates + 1)), step, updates))
            for kind, loader in loaders.items():
                with closing(loader(0)) as batches:
                    rates[kind].append(rate(batches, step, updates))
    return rates


def microseconds(work: Callable[[], object], frames: int, turns: int = 7) -> float:
    """The median time of some work, a frame."""
    times: list[float] = []
    for _ in range(turns):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) / frames * 1e6


def data_parts(data: dict[str, Sequences]) -> dict[str, float]:
    """What it takes to read and to augment a frame, microseconds on one thread."""
    rng = np.random.default_rng(0)
    out = np.empty((32, 128, 128, 3), np.uint8)  # a thread that draws has its memory, as here

    def read(sequences: Sequences) -> None:
        for index in rng.integers(0, len(sequences.lengths), 16).tolist():
            sequences.read(index, int(rng.integers(0, sequences.lengths[index] - 31)), 32, out)

    times = {f"reading, {kind}": microseconds(lambda s=s: read(s), 16 * 32) for kind, s in data.items()}
    frames, _ = data["kept"].read(0, 0, 32)
    augmenting = microseconds(lambda: [apply(frames, drawn, out) for drawn in draw(VPT, 128, 16, rng)], 16 * 32)
    return times | {"augmenting": augmenting}


def step_parts(size: str, batch: Batch) -> dict[str, float]:
    """What the parts of a training step take, microseconds a frame on one thread."""
    torch.set_num_threads(1)
    windows = 8
    part = next(batch.split(windows))
    frames = part.counted.numel()
    policy = Policy(config_of(size), torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(policy.train_only("all"), fused=True)
    dtype = compute_dtype("auto", torch.device("cpu"))
    images = part.frames.flatten(0, 1)

    def embeddings() -> torch.Tensor:
        return policy.trunk.embed(images, policy.trunk.encoder.weights(dtype))

    fixed = embeddings().detach().view(windows, 32, -1).requires_grad_()

    def rest() -> torch.Tensor:
        features = policy.trunk.transformer.forward(fixed)
        return component_losses(policy.head.logits(features), part).sum()

    times = {
        "encoder, forward": microseconds(embeddings, frames),
        "encoder, both": microseconds(lambda: torch.autograd.backward(embeddings().float().sum()), frames),
        "transformer and head, forward": microseconds(rest, frames),
        "transformer and head, both": microseconds(lambda: torch.autograd.backward(rest()), frames),
    }
    for whole_part in ("encoder", "transformer and head"):
        both = times.pop(f"{whole_part}, both")
        times[f"{whole_part}, backward"] = both - times[f"{whole_part}, forward"]
    optimizer.step()  # makes its state
    batch_frames = batch.counted.numel()
    return times | {"optimizer (a batch)": microseconds(optimizer.step, batch_frames)}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["4m", "103m"], choices=list(BATCHES))
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--updates", type=int, default=6)
    args = parser.parse_args()
    data = gameplay()
    threads = torch.get_num_threads()
    print(f"{threads} processors, frames a second\n size   memory" + "".join(f"{kind:>12}  ratio" for kind in data))
    batches: dict[str, Batch] = {}
    for size in cast("list[str]", args.sizes):
        loaders = {kind: Loader(each, LoaderConfig(batch_size=BATCHES[size])) for kind, each in data.items()}
        with closing(loaders["drawn anew"](0)) as first:
            batches[size] = next(first)
        rates = compare(size, loaders, batches[size], args.turns, args.updates)
        memory = rates.pop("memory")
        line = f"{size:>5} {statistics.median(memory):>8.0f}"
        spreads: list[str] = []
        for kind, real in rates.items():
            ratios = [r / m for r, m in zip(real, memory, strict=True)]
            line += f"{statistics.median(real):>12.0f} {statistics.median(ratios):>6.3f}"
            spreads.append(f"{kind} {statistics.mean(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")
        print(line, flush=True)
        print(f"{'':>5} ratios, mean and range: {'; '.join(spreads)}")
    print("\nmicroseconds a frame, on one thread")
    for size, batch in batches.items():
        for name, time_taken in (data_parts(data) | step_parts(size, batch)).items():
            print(f"{size:>5} {name:<32} {time_taken:>8.0f}")
        torch.set_num_threads(threads)


if __name__ == "__main__":
    main()
