"""Online alignment from end to end, as a ratio to the policy alone; what the wire costs; RLlib's sampler beside it.

Each row plays with the same policy in the same run:

- alone: decisions of the policy on frames in memory, 16 at a time, nothing else;
- end to end: steps of episodes that were played by two worker processes, sent over gRPC, scored and learnt from, 16
  episodes an update, at lag 0. What is decided on black frames, which pad an episode, does not count as a step;
- wire: the seconds that a batch's messages take to be made, sent, read, checked and put on the disk, as a share of an
  update's;
- RLlib: the sampler of its environment runner with 16 environments in one process and the same policy as its module,
  once with our own inference inside, which keeps the past, and once as one writes it for RLlib: a stateless module that
  reads the last 32 frames, stacked by the environment's wrapper.

    python bench/rollout.py [--sizes 4m 103m] [--updates 20] [--lag 0] [--no-rllib]
"""

import sys

sys.path.append(sys.path.pop(0))  # rollout.py beside this is not the package `rollout`

import argparse
import logging
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

import grpc
import numpy as np
import torch

from agents.checkpoint import save_policy, trunk_hash
from agents.encoder import SIDE
from agents.inference import Actor, ActorConfig
from agents.parallel import one_thread
from agents.policy import Policy, config_of
from agents.reward import RewardArtefact, RewardModel
from envs.vector import SkygardenVectorEnv
from rollout.codec import MESSAGE_LIMIT, PROTOCOL, Stamp, encode
from rollout.collect import collect
from rollout.delivery.assignment import Assignment, Contract
from rollout.delivery.journal import Journal
from rollout.delivery.keys import Key
from rollout.desk import CREDITS, Desk
from rollout.environments import EnvConfig
from rollout.identity.trust import SharedTokens
from rollout.learner import OnlineConfig, train_online
from rollout.server import OPTIONS, SERVICE, RolloutServer
from rollout.wire import rollout_pb2 as wire
from skygarden.policies import named_policy
from skygarden.workplace import Here, Job

BATCH = 16


def policy_of(size: str) -> Policy:
    """The agent in the box, and for larger sizes random weights."""
    return named_policy("base-4m") if size == "4m" else Policy(config_of(size), torch.Generator().manual_seed(0))


def alone(policy: Policy, steps: int = 200) -> float:
    """Decisions a second of the policy by itself."""
    frames = np.random.default_rng(0).integers(0, 256, (BATCH, SIDE, SIDE, 3), dtype=np.uint8)
    actor = Actor(policy, BATCH, ActorConfig(), seed=0)
    for _ in range(40):
        actor.act(frames)
    start = time.perf_counter()
    for _ in range(steps):
        actor.act(frames)
    return BATCH * steps / (time.perf_counter() - start)


def end_to_end(policy: Policy, updates: int, lag: int) -> tuple[float, float]:
    """Steps a second, and seconds an update, without the first two, which wait for the workers to start."""
    trunk, width = trunk_hash(policy), policy.config.width
    config = OnlineConfig(updates=updates + 2, max_policy_lag=lag, checkpoint_every=10)
    reward = RewardArtefact(RewardModel(width, torch.Generator().manual_seed(0)), "embeddings", trunk, 0.5, {})
    contract = Contract(trunk=trunk, width=width, reads="embeddings", context=config.context, temperature=1.0)
    with tempfile.TemporaryDirectory() as name, closing(Journal(Path(name) / "journal")) as journal:
        folder = Path(name)
        save_policy(policy, folder / "start.safetensors")
        desk = Desk(contract, journal)
        job = Job(desk=desk, policy=folder / "start.safetensors", env=EnvConfig(), shares=config.shares, out=folder)
        with Here().open(job) as server, one_thread():  # as `skygarden online` does
            lines = list(train_online(policy, policy, reward, trunk, server, config, folder / "run"))[2:]
    seconds = sum(line.seconds for line in lines)
    return sum(line.steps * line.episodes for line in lines) / seconds, seconds / len(lines)


def wire_seconds(policy: Policy, batches: int = 20) -> float:
    """Seconds that a batch's episodes take from a worker's hands to the learner's."""
    trunk, width = trunk_hash(policy), policy.config.width
    contract = Contract(trunk=trunk, width=width, reads="embeddings", context="chunked", temperature=1.0)
    with closing(SkygardenVectorEnv(BATCH)) as envs:
        actor = Actor(policy, BATCH, ActorConfig(), seed=0)
        episodes = list(collect(envs, actor, range(BATCH), padded=True))
    with (
        tempfile.TemporaryDirectory() as name,
        closing(Journal(Path(name) / "journal")) as journal,
        closing(RolloutServer(Desk(contract, journal), Path(name) / "none", SharedTokens({"w": "t"}))) as server,
    ):
        outbox: SimpleQueue[wire.FromWorker | None] = SimpleQueue()
        outbox.put(wire.FromWorker(hello=wire.Hello(protocol=PROTOCOL, incarnation=1)))
        outbox.put(wire.FromWorker(ready=wire.Ready()))
        grpc_: Any = grpc
        options = [*OPTIONS, ("grpc.max_receive_message_length", MESSAGE_LIMIT)]  # as a worker's line has
        channel = grpc_.insecure_channel(f"127.0.0.1:{server.port}", options=options)
        call = channel.stream_stream(
            f"/{SERVICE}/Play",
            request_serializer=wire.FromWorker.SerializeToString,
            response_deserializer=wire.FromLearner.FromString,
        )
        answers: Iterator[wire.FromLearner] = call(
            iter(outbox.get, None), metadata=(("skygarden-worker", "w"), ("skygarden-token", "t"))
        )

        credits = threading.Semaphore(CREDITS)

        def send() -> None:
            while (number := given.get()) is not None:
                for index, episode in enumerate(episodes):
                    credits.acquire()
                    key = Key("w", 1, number * BATCH + index)
                    stamp = Stamp(key, number, index, number, trunk, "chunked", 1.0, "embeddings")
                    outbox.put(wire.FromWorker(episode=encode(episode, stamp)))
                outbox.put(wire.FromWorker(ready=wire.Ready()))

        def answer() -> None:
            for message in answers:
                if message.HasField("assignment"):
                    given.put(message.assignment.number)
                elif message.HasField("acknowledged"):
                    credits.release()
                elif message.HasField("alive"):
                    outbox.put(wire.FromWorker(heartbeat=wire.Heartbeat()))
            given.put(None)

        given: SimpleQueue[int | None] = SimpleQueue()
        threads = [threading.Thread(target=work, daemon=True) for work in (answer, send)]
        for thread in threads:
            thread.start()
        start = 0.0
        for number in range(batches + 2):
            if number == 2:
                start = time.perf_counter()
            server.publish(number, policy.head.state_dict(), number)
            server.post(Assignment(number=number, version=number, seeds=tuple(range(BATCH)), sampling_seed=0))
            assert len(server.wait([number], 60)) == BATCH
        seconds = (time.perf_counter() - start) / batches
        outbox.put(None)
        server.close()
        for thread in threads:
            thread.join()
        channel.close()
    return seconds


def rllib(policy: Policy, past: Literal["kept", "stacked"], steps: int) -> float:
    """Steps a second of RLlib's environment runner."""
    from rllib_module import runner_of  # beside this file

    runner = runner_of(policy, BATCH, past)
    runner.sample(num_timesteps=steps // 2, random_actions=False)
    start = time.perf_counter()
    episodes = runner.sample(num_timesteps=steps, random_actions=False)
    return sum(len(episode) for episode in episodes) / (time.perf_counter() - start)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["4m", "103m"])
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--lag", type=int, default=0)
    parser.add_argument("--no-rllib", action="store_true")
    args = parser.parse_args()
    logging.disable(logging.INFO)
    print("size    alone  end to end  ratio  s an update  600 updates    wire   RLlib  ratio  stacked  ratio")
    for size in args.sizes:
        policy = policy_of(size)
        by_itself = alone(policy)
        rate, update = end_to_end(policy_of(size), args.updates, args.lag)
        share = wire_seconds(policy) / update
        line = f"{size:>4} {by_itself:>6.0f} /s {rate:>8.0f} /s {rate / by_itself:>6.2f} {update:>12.2f}"
        line += f" {update * 10:>8.1f} min {share:>7.1%}"
        if not args.no_rllib:
            kept = rllib(policy, "kept", 3200 if size == "4m" else 1600)
            stacked = rllib(policy, "stacked", 640 if size == "4m" else 160)
            line += f" {kept:>5.0f} /s {rate / kept:>4.1f} {stacked:>6.0f} /s {rate / stacked:>4.1f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
