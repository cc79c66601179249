"""A learner and those who work for it, for tests: over real gRPC on loopback, and all in one process.

The learner can be killed hard and started again on the same port with the same journal, as often as a test likes.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import grpc
import pytest
import torch
from torch import Tensor

from agents.inference import ActorConfig
from agents.policy import Head
from rollout.codec import PROTOCOL
from rollout.delivery.assignment import Assignment, Contract
from rollout.delivery.journal import Journal
from rollout.delivery.keys import Key
from rollout.delivery.link import LinkConfig
from rollout.delivery.reports import recall_report
from rollout.desk import Desk, Patience
from rollout.identity.trust import SharedTokens, Token
from rollout.server import OPTIONS, SERVICE, RolloutServer
from rollout.wire import rollout_pb2 as wire
from rollout.worker import WorkerConfig, work

TOKENS = {"ann": "token-of-ann", "bob": "token-of-bob"}
PATIENCE = 30.0  # seconds, which no test waits
CALM = Patience(heartbeat=0.5, silence=PATIENCE, standstill=PATIENCE)  # nobody is given up in a test's time
ACTING = ActorConfig(context="chunked", temperature=0.7, precision="float32", processors=1)


def until(holds: Callable[[], object]) -> None:
    """Look again and again until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def assignment(number: int, *seeds: int, version: int = 0) -> Assignment:
    """An assignment of the seeds."""
    return Assignment(number=number, version=version, seeds=seeds, sampling_seed=1000 + number)


def head_of(seed: int, width: int = 32) -> dict[str, Tensor]:
    """The weights of some head."""
    return dict(Head(width, torch.Generator().manual_seed(seed)).state_dict())


class Raw:
    """A worker's end of the wire, of which every message is written by hand."""

    def __init__(self, port: int, worker: str, token: str, **serializer: Any) -> None:
        made: Any = grpc
        # A connection of its own: what happens to another's does not happen to it.
        options = [*OPTIONS, ("grpc.max_receive_message_length", 64 * 2**20), ("grpc.use_local_subchannel_pool", 1)]
        self.channel = made.insecure_channel(f"127.0.0.1:{port}", options=options)
        self._outbox: SimpleQueue[Any] = SimpleQueue()
        self._alive = threading.Event()  # says that it is, from when this is set
        self._metadata = (("skygarden-worker", worker), ("skygarden-token", token))
        play = self.channel.stream_stream(
            f"/{SERVICE}/Play",
            request_serializer=serializer.get("serializer", wire.FromWorker.SerializeToString),
            response_deserializer=wire.FromLearner.FromString,
        )
        self.call = play(self._said(), metadata=self._metadata, timeout=PATIENCE)

    def policy(self) -> bytes:
        """The policy's file."""
        get = self.channel.unary_stream(
            f"/{SERVICE}/GetPolicy",
            request_serializer=wire.GetPolicyRequest.SerializeToString,
            response_deserializer=wire.PolicyPiece.FromString,
        )
        pieces = list(get(wire.GetPolicyRequest(), metadata=self._metadata, timeout=PATIENCE))
        return b"".join(piece.data for piece in pieces)

    def say(self, **message: Any) -> None:
        """Send a message."""
        self._outbox.put(wire.FromWorker(**message))

    def say_bytes(self, data: bytes) -> None:
        """Send what may be no message."""
        self._outbox.put(data)

    def hello(self, incarnation: int = 1, held: Sequence[int] = ()) -> wire.Welcome:
        """Say hello; returns the welcome."""
        self.say(hello=wire.Hello(protocol=PROTOCOL, incarnation=incarnation, assignments=held))
        return self.hear("welcome")

    def ready(self) -> None:
        """Ask for an assignment."""
        self.say(ready=wire.Ready())

    def live(self) -> None:
        """Say every now and then that this worker is alive, from now on."""
        self._alive.set()
        self.say(heartbeat=wire.Heartbeat())

    def _said(self) -> Iterator[Any]:
        while True:
            try:
                message = self._outbox.get(timeout=0.1 if self._alive.is_set() else None)
            except Empty:
                message = wire.FromWorker(heartbeat=wire.Heartbeat())
            if message is None:
                return
            yield message

    def hear(self, kind: str) -> Any:
        """The next message but for signs of life, which is of a kind."""
        message = next(message for message in self.call if kind == "alive" or not message.HasField("alive"))
        assert message.WhichOneof("message") == kind
        return getattr(message, kind)

    def rest(self) -> list[str | None]:
        """The kinds of all messages until the call ends."""
        return [message.WhichOneof("message") for message in self.call if not message.HasField("alive")]

    def refusal(self) -> tuple[Any, str | None]:
        """How the call was ended."""
        with pytest.raises(grpc.RpcError) as error:
            list(self.call)
        made: Any = error.value
        return made.code(), made.details()

    def end(self) -> None:
        """Say no more."""
        self._outbox.put(None)

    def close(self) -> None:
        """Hang up."""
        self._outbox.put(None)
        self.channel.close()


@dataclass
class AtWork:
    """A worker in a thread."""

    done: Future[int]
    leaving: threading.Event
    thread: threading.Thread

    def result(self) -> int:
        """How many episodes it played. Raises: what it raised."""
        return self.done.result(PATIENCE)


class Ring:
    """A learner, which may be gone, and those who work for it.

    Args: folder: of the journal and the workers' spools.
    """

    def __init__(self, contract: Contract, policy: Path, folder: Path, patience: Patience = CALM) -> None:
        self._contract, self._policy, self.folder, self._patience = contract, policy, folder, patience
        self.raws: list[Raw] = []
        self.workers: list[AtWork] = []
        self.start()

    def start(self, port: int = 0, identity: str = "") -> None:
        """Have a learner, whose journal is there still if there was one before."""
        self.journal = Journal(self.folder / f"journal{identity}", identity, keep=True)
        self.desk = Desk(self._contract, self.journal, self._patience)
        self.desk.recover(None, 0)
        self.server = RolloutServer(self.desk, self._policy, SharedTokens(TOKENS), f"127.0.0.1:{port}")
        self.port = self.server.port
        self.lives = True

    def kill(self) -> None:
        """What a SIGKILL does: everything ends at once, nobody is told, and what was not on the disk is lost."""
        self.lives = False
        server: Any = self.server
        journal: Any = self.journal
        server._closed.set()
        for _ in range(2):
            with journal._changed:
                journal._waiting.clear()
                journal._bytes = 0
            server._server.stop(None).wait()
        server._threads.shutdown(wait=False)
        self.journal.close()

    def kept(self) -> list[Key | None]:
        """The keys of all reports that the journal has, in their order."""
        with closing(Journal(self.folder / "journal", keep=True)) as journal:
            return [recall_report(data).key for data in journal.reports()]

    def raw(self, worker: str = "ann", token: str | None = None, **serializer: Any) -> Raw:
        """Connect by hand."""
        self.raws.append(Raw(self.port, worker, TOKENS[worker] if token is None else token, **serializer))
        return self.raws[-1]

    def link(self, name: str, **changes: Any) -> LinkConfig:
        """What a worker is told of its learner."""
        known = {"learner": f"127.0.0.1:{self.port}", "name": name, "trust": Token(TOKENS.get(name, "a-guess"))}
        return LinkConfig(**{**known, "spool": self.folder / "spool" / name, "patience": PATIENCE, **changes})

    def config(self, name: str, notice: float = PATIENCE, **changes: Any) -> WorkerConfig:
        """What a worker is told."""
        return WorkerConfig(link=self.link(name, **changes), precision="float32", notice=notice)

    def at_work(self, name: str, game: Any, **changes: Any) -> AtWork:
        """Let a worker work in a thread."""
        done: Future[int] = Future()
        leaving = threading.Event()
        config = self.config(name, **changes)

        def run() -> None:
            try:
                done.set_result(work(config, game, leaving))
            except Exception as error:  # for whoever asks for the result
                done.set_exception(error)

        self.workers.append(AtWork(done, leaving, threading.Thread(target=run, name=f"worker {name}", daemon=True)))
        self.workers[-1].thread.start()
        return self.workers[-1]

    def spooled(self, name: str) -> list[Path]:
        """The reports in a worker's spool."""
        return sorted((self.folder / "spool" / name / self.desk.run).glob("*.report"))

    def close(self) -> None:
        """Let everybody go home."""
        for raw in self.raws:
            raw.close()
        if self.lives:
            self.server.close()
            self.journal.close()
        for worker in self.workers:
            worker.leaving.set()
            worker.thread.join(PATIENCE)
            assert not worker.thread.is_alive()
