"""How many episodes a second one learner takes in, from many simulated workers, as a ratio to gRPC alone.

Everything is on this machine: the learner in one process, and the workers, 16 streams a process, in others, which share
its processors. What they send was recorded once: episodes of 100 steps with features of width 1024, which a
reward model reads, 200 KB.

- gRPC alone: the same messages, to a server of the same kind that throws them away;
- taken in: received, checked, written to the journal, flushed to the disk, acknowledged, handed over in batches of 16;
- learnt from as well: scored by a reward model, and REINFORCE on every batch, with the head of the 103M policy.

Memory is the learner's own, of this process, at a tenth of the way and at the end.

    python bench/learner.py [--workers 64] [--episodes 20000] [--learn 640]
"""

import sys

sys.path.append(sys.path.pop(0))  # learner.py's neighbours are not packages

import argparse
import logging
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import numpy as np
import psutil
import torch

from agents.critic import Critic
from agents.parallel import one_thread
from agents.policy import Head
from agents.reinforce import ReinforceConfig, update_head
from agents.reward import RewardArtefact, RewardModel
from envs.backend import Start
from envs.episode import Ending, Episode
from envs.gamepad import SIZES
from rollout.codec import PROTOCOL, Stamp, encode
from rollout.delivery.assignment import Assignment, Contract
from rollout.delivery.journal import Journal
from rollout.delivery.keys import Key
from rollout.desk import Desk
from rollout.identity.trust import SharedTokens
from rollout.learner import batch_of
from rollout.server import OPTIONS, SERVICE, RolloutServer
from rollout.wire import rollout_pb2 as wire

Learn = Callable[[list[Episode]], None]

WIDTH, STEPS, BATCH, STREAMS = 1024, 100, 16, 16
CONTRACT = Contract(trunk="ab" * 32, width=WIDTH, reads="features", context="chunked", temperature=1.0)
TOKEN = "simulated"


def recorded() -> Episode:
    """An episode of the largest policy, of the full length."""
    rng = np.random.default_rng(0)
    return Episode(
        seed=0,
        start=Start(1, "ninja", 2),
        actions=rng.integers(0, SIZES, (STEPS, len(SIZES)), np.uint8),
        log_probs=-rng.exponential(size=STEPS).astype(np.float32),
        embeddings=np.zeros((0, WIDTH), np.float16),
        features=rng.normal(size=(STEPS, WIDTH)).astype(np.float16),
        positions=np.zeros((STEPS + 1, 3), np.float32),
        ending=Ending.TRUNCATED,
        jumppad=None,
    )


class Recording:
    """The episode as a message whose stamp can be changed without copying the rest twice."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        message = encode(recorded(), Stamp(Key(worker, 1, 0), 0, 0, 0, CONTRACT.trunk, "chunked", 1.0, "features"))
        for name in ("key", "assignment", "index", "seed"):
            message.ClearField(name)
        self._rest = message.SerializeToString()

    def message(self, sequence: int, assignment: int, index: int, seed: int) -> bytes:
        """A `wire.FromWorker` as bytes: fields in any order are one message."""
        key = wire.Key(worker=self._worker, incarnation=1, sequence=sequence)
        stamp = wire.Episode(key=key, assignment=assignment, index=index, seed=seed).SerializeToString()
        length, prefix = len(stamp) + len(self._rest), bytearray([2 << 3 | 2])  # field 2, with a length
        while length > 127:
            prefix.append(length & 127 | 128)
            length >>= 7
        return bytes([*prefix, length]) + stamp + self._rest


def simulate(port: int, names: list[str], discard: int | None) -> None:
    """Workers of one process until the server is done; with `discard`, so many messages each to one that is silent."""
    with ThreadPoolExecutor(len(names)) as threads:
        for done in [threads.submit(simulate_one, port, name, discard) for name in names]:
            done.result()


def simulate_one(port: int, name: str, discard: int | None) -> None:
    """One worker."""
    recording, outbox = Recording(name), SimpleQueue[bytes | None]()
    outbox.put(wire.FromWorker(hello=wire.Hello(protocol=PROTOCOL, incarnation=1)).SerializeToString())
    made: Any = grpc
    options = [*OPTIONS, ("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    with made.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        play = channel.stream_stream(f"/{SERVICE}/Play", response_deserializer=wire.FromLearner.FromString)
        metadata = (("skygarden-worker", name), ("skygarden-token", TOKEN))
        if discard is not None:
            list(play((recording.message(k, 0, 0, 0) for k in range(discard)), metadata=metadata))
            return
        ready = wire.FromWorker(ready=wire.Ready()).SerializeToString()
        outbox.put(ready)
        credits, waiting, sequence = threading.Semaphore(8), 0, 0

        def send() -> Iterator[bytes]:
            while (data := outbox.get()) is not None:
                if len(data) > 10_000:
                    credits.acquire()
                yield data

        for answer in play(send(), metadata=metadata):
            kind = answer.WhichOneof("message")
            if kind == "assignment":
                asked = answer.assignment
                for index in asked.wanted:
                    outbox.put(recording.message(sequence, asked.number, index, asked.seeds[index]))
                    sequence, waiting = sequence + 1, waiting + 1
                outbox.put(ready)
            elif kind == "acknowledged":
                credits.release()
        outbox.put(None)


@contextmanager
def simulated(port: int, workers: int, discard: int | None = None) -> Iterator[None]:
    """Workers in processes of their own."""
    names = [f"w{k}" for k in range(workers)]
    groups = [names[k : k + STREAMS] for k in range(0, workers, STREAMS)]
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=simulate, args=(port, group, discard), daemon=True) for group in groups]
    for process in processes:
        process.start()
    try:
        yield
        for process in processes:
            process.join(60)
    finally:
        for process in processes:
            process.kill()


def grpc_alone(workers: int, episodes: int) -> float:
    """Messages a second that a server throws away."""
    made: Any = grpc
    count, times, lock = 0, list[float](), threading.Lock()

    def play(messages: Iterator[bytes], _: Any) -> Iterator[bytes]:
        nonlocal count
        for _message in messages:
            with lock:
                count += 1
                times.append(time.perf_counter())
        return iter(())

    server = made.server(ThreadPoolExecutor(workers), options=OPTIONS)
    handler = made.stream_stream_rpc_method_handler(play)
    server.add_generic_rpc_handlers((made.method_handlers_generic_handler(SERVICE, {"Play": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    each = episodes // workers
    with simulated(port, workers, each):
        while count < workers * each:
            time.sleep(0.01)
    server.stop(None).wait()
    return rate(times)


def taken_in(
    workers: int, episodes: int, learn: Callable[[list[Episode]], None] | None = None
) -> tuple[float, list[int]]:
    """Episodes a second, and this process's memory on the way, in bytes."""
    times, memory, process = list[float](), list[int](), psutil.Process()
    with tempfile.TemporaryDirectory() as name, closing(Journal(Path(name) / "journal")) as journal:
        desk = Desk(CONTRACT, journal)
        tokens = SharedTokens({f"w{k}": TOKEN for k in range(workers)})
        with closing(RolloutServer(desk, Path(name) / "no-policy", tokens)) as server:
            server.publish(0, {}, 0)
            ahead = 2 * workers
            with simulated(server.port, workers):
                for number in range(episodes // BATCH + ahead):
                    if number < episodes // BATCH:
                        seeds = tuple(range(number * BATCH, (number + 1) * BATCH))
                        server.post(Assignment(number=number, version=0, seeds=seeds, sampling_seed=0))
                    if number >= ahead:
                        came = server.wait([number - ahead], 60)
                        assert len(came) == BATCH
                        if learn:
                            learn([episode for episode, _ in came])
                        server.saved(number - ahead + 1)
                        times.append(time.perf_counter())
                        memory.append(process.memory_info().rss)
                server.close()
    return BATCH * rate(times), memory


def learner() -> Learn:
    """Scores a batch and learns from it."""
    head, reference = Head(WIDTH, torch.Generator().manual_seed(0)), Head(WIDTH, torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-4, fused=True)
    reward = RewardArtefact(RewardModel(WIDTH, torch.Generator().manual_seed(0)), "features", CONTRACT.trunk, 0.5, {})
    settings, critic = ReinforceConfig(), Critic(WIDTH)

    def learn(episodes: list[Episode]) -> None:
        rewards = reward.score_episodes(episodes, CONTRACT.trunk)
        update_head(
            head, reference, optimizer, batch_of(episodes, rewards), settings, critic, stale=False, temperature=1.0
        )

    return learn


def rate(times: list[float]) -> float:
    """Events a second, without the first tenth, in which the workers connect."""
    first = len(times) // 10
    return (len(times) - 1 - first) / (times[-1] - times[first])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--episodes", type=int, default=20_000)
    parser.add_argument("--learn", type=int, default=640, help="episodes to learn from")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    alone = grpc_alone(options.workers, min(options.episodes, 20_000))
    print(f"gRPC alone:  {alone:7,.0f} episodes/s from {options.workers} workers")
    with one_thread():
        speed, memory = taken_in(options.workers, options.episodes)
        print(f"taken in:    {speed:7,.0f} episodes/s, {speed / alone:.2f} of gRPC alone")
        first, last = memory[len(memory) // 10] / 2**20, memory[-1] / 2**20
        print(f"memory:      {first:,.0f} MB at a tenth of {options.episodes:,} episodes, {last:,.0f} MB at the end")
        speed, _ = taken_in(options.workers, options.learn, learner())
        print(f"learnt from: {speed:7,.1f} episodes/s with a reward model and REINFORCE, on one of the processors")


if __name__ == "__main__":
    main()
