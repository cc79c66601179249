"""How fast a policy trains on gameplay, as a ratio to the same step on tensors that are already in memory.

Both are measured in turns in the same run, with the data threads working only in the turns that are theirs. Then where
the time goes: each part alone, on one thread, a frame. Usage:

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
from agents.data import Loader, LoaderConfig
from agents.imitation import Batch, ImitationConfig, component_losses, make_replicas, train_step
from agents.parameters import compute_dtype
from agents.policy import Policy, config_of
from envs.standin.gameplay import record_match
from rollout.replays import ReplaySequences, whole

MATCHES = 24  # two hours of gameplay
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


def compare(size: str, loader: Loader, turns: int, updates: int) -> tuple[list[float], list[float]]:
    """Frames a second with real data, and on tensors in memory, for each turn."""
    config = ImitationConfig(batch_size=BATCHES[size], micro_batch=BATCHES[size] // 2, learning_rate=1e-5)
    policy = Policy(config_of(size), torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(policy.train_only("all"), fused=True)
    batch = next(loader(0))
    with closing(make_replicas(policy, config)) as replicas:

        def step(batch: Batch) -> None:
            train_step(replicas, optimizer, batch, config, 0)

        real: list[float] = []
        memory: list[float] = []
        for _ in range(turns):
            memory.append(rate(iter([batch] * (updates + 1)), step, updates))
            batches = loader(0)
            real.append(rate(batches, step, updates))
            batches.close()
    return real, memory


def microseconds(work: Callable[[], object], frames: int, turns: int = 7) -> float:
    """The median time of some work, a frame."""
    times: list[float] = []
    for _ in range(turns):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) / frames * 1e6


def data_parts(sequences: ReplaySequences) -> dict[str, float]:
    """What it takes to draw and to augment a frame, microseconds on one thread."""
    rng = np.random.default_rng(0)
    frames, _ = sequences.read(0, 0, 32)
    starts = iter(rng.integers(0, 2900, 10_000).tolist())
    return {
        "drawing": microseconds(lambda: [sequences.read(0, next(starts), 32) for _ in range(16)], 16 * 32),
        "augmenting": microseconds(lambda: [apply(frames, draw(VPT, 128, rng)) for _ in range(16)], 16 * 32),
    }


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
    sequences = ReplaySequences(whole([record_match(0, k) for k in range(MATCHES)]))
    threads = torch.get_num_threads()
    print(f"{threads} processors\n size     memory  real data  ratio")
    batches: dict[str, Batch] = {}
    for size in cast("list[str]", args.sizes):
        loader = Loader(sequences, LoaderConfig(batch_size=BATCHES[size]))
        batches[size] = next(loader(0))
        real, memory = compare(size, loader, args.turns, args.updates)
        ratio = statistics.median(r / m for r, m in zip(real, memory, strict=True))
        rates = f"{statistics.median(memory):>8.0f}/s {statistics.median(real):>8.0f}/s"
        print(f"{size:>5} {rates}  {ratio:>5.2f}", flush=True)
    print("\nmicroseconds a frame, on one thread")
    for size, batch in batches.items():
        for name, time_taken in (data_parts(sequences) | step_parts(size, batch)).items():
            print(f"{size:>5} {name:<32} {time_taken:>8.0f}")
        torch.set_num_threads(threads)


if __name__ == "__main__":
    main()
