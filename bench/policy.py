"""How many decisions a second a policy makes: both contexts and all sizes, against the straightforward way.

The straightforward way encodes the last 32 frames of every environment anew at every step and runs the whole
transformer over them, in float32. Each row is measured in turns with it in the same run, and is the median of the
turns; a turn of ours is 16 steps with full contexts, so that a chunked one pays for its rebuild. Usage:

    python bench/policy.py [--sizes 4m 103m] [--batches 1 64] [--threads 2] [--turns 3]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Literal, cast

import numpy as np
import torch

from agents.encoder import SIDE
from agents.inference import Actor, ActorConfig
from agents.parameters import compute_device, compute_dtype
from agents.policy import CONFIGS, Policy, config_of

TURN = 16  # steps: the chunked context is rebuilt once


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(
    policy: Policy, batch: int, context: Literal["window", "chunked"], turns: int
) -> tuple[float, float, float]:
    """Seconds a step: the straightforward way, ours on average, and our slowest.

    Returns: medians over the turns.
    """
    shape = (batch, policy.config.context, SIDE, SIDE, 3)
    windows = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    images = torch.as_tensor(windows)
    actor = Actor(policy, batch, ActorConfig(context=context, device="cpu"), seed=0)
    for step in range(policy.config.context + 1):
        actor.act(windows[:, step % len(windows[0])])
    plain, mean, slowest = [], [], []
    with torch.inference_mode():
        policy.logits(images)
        for _ in range(turns):
            plain.append(seconds(lambda: policy.logits(images)))
            steps = [seconds(lambda t=t: actor.act(windows[:, t])) for t in range(TURN)]
            mean.append(statistics.mean(steps))
            slowest.append(max(steps))
    return statistics.median(plain), statistics.median(mean), statistics.median(slowest)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=list(CONFIGS), choices=list(CONFIGS))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 16, 64])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    dtype = compute_dtype("auto", compute_device("cpu"))
    print(f"{args.threads} threads, ours in {dtype}".replace("torch.", ""))
    print(" size batch  context  float32 plain           ours  ratio  step ms   worst")
    for size in cast("list[str]", args.sizes):
        policy = Policy(config_of(size), torch.Generator().manual_seed(0))
        for batch in args.batches:
            for context in ("window", "chunked"):
                plain, mean, slowest = measure(policy, batch, context, args.turns)
                rates = f"{batch / plain:>9.1f} /s   {batch / mean:>9.1f} /s  "
                times = f"{1000 * mean:>8.1f} {1000 * slowest:>7.1f}"
                print(f"{size:>5} {batch:>5} {context:>8} {rates} {plain / mean:>6.1f} {times}", flush=True)


if __name__ == "__main__":
    main()
