"""A learner under attack, for tests: it runs in a process of its own, over mutual TLS, and an honest worker delivers to
it all the time. Those who mean harm write every message by hand."""

import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

import grpc
import numpy as np
import psutil

from envs.backend import Start
from envs.episode import Ending, Episode
from rollout.codec import MESSAGE_LIMIT, PROTOCOL, Stamp, encode
from rollout.delivery.keys import Key
from rollout.identity.papers import Papers
from rollout.server import OPTIONS, SERVICE
from rollout.wire import rollout_pb2 as wire
from tests.rollout.learner_alone import CONTRACT
from tests.rollout.ring import until
from tests.rollout.trusting import Anything, Realm

PATIENCE = 30.0  # seconds, which no test waits
OWN: Final = [
    *OPTIONS,
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.use_local_subchannel_pool", 1),  # a connection for each channel
    ("grpc.enable_retries", 0),
    ("grpc.http2.bdp_probe", 0),  # else it may come to take in 4 MB that nobody reads
]
ROOT: Final = Path(__file__).parents[2]


def episode(worker: str, sequence: int, assignment: int, index: int = 0, seed: int = 0) -> wire.Episode:
    """A good report: 210 KB."""
    played = Episode(
        seed=seed,
        start=Start(1, "monk", 2),
        actions=np.zeros((100, 16), np.uint8),
        log_probs=np.full(100, -1, np.float32),
        embeddings=np.zeros((0, CONTRACT.width), np.float16),
        features=np.ones((100, CONTRACT.width), np.float16),
        positions=np.zeros((101, 3), np.float32),
        ending=Ending.TRUNCATED,
        jumppad=None,
    )
    key = Key(worker, 1, sequence)
    stamp = Stamp(key, assignment, index, 0, CONTRACT.trunk, CONTRACT.context, CONTRACT.temperature, CONTRACT.reads)
    return encode(played, stamp)


def ended(call: Any) -> Any:
    """The code with which a call ended; gRPC tells it to those only who read what came before."""
    with suppress(grpc.RpcError):
        for _ in call:
            pass
    assert call.code() != grpc.StatusCode.DEADLINE_EXCEEDED
    return call.code()


class Caller:
    """A worker's end of the wire over mutual TLS; what it says is in no order that anybody promised."""

    def __init__(
        self, port: int, papers: Papers, metadata: Any = (), compression: Any = None, patience: float = PATIENCE
    ) -> None:
        self.channel: Any = Anything(papers).channel(f"127.0.0.1:{port}", OWN)
        self.metadata, self._compression, self._patience = metadata, compression, patience
        self.outbox: SimpleQueue[Any] = SimpleQueue()
        self.calls: list[Any] = []

    def play(self) -> "Caller":
        """Make a call for playing, in place of the one before."""
        self.outbox = SimpleQueue()
        play = self.channel.stream_stream(
            f"/{SERVICE}/Play",
            request_serializer=lambda said: said if isinstance(said, bytes) else said.SerializeToString(),
            response_deserializer=wire.FromLearner.FromString,
        )
        says = iter(self.outbox.get, None)
        self.calls.append(play(says, metadata=self.metadata, timeout=self._patience, compression=self._compression))
        return self

    @property
    def call(self) -> Any:
        """The last one."""
        return self.calls[-1]

    def say(self, **message: Any) -> None:
        """Send a message."""
        self.outbox.put(wire.FromWorker(**message))

    def hello(self, incarnation: int = 1, held: Any = ()) -> None:
        """Say hello, and hear the welcome."""
        self.say(hello=wire.Hello(protocol=PROTOCOL, incarnation=incarnation, assignments=held))
        assert self.hear("welcome").credits

    def hear(self, kind: str) -> Any:
        """The next message of a kind."""
        return next(getattr(message, kind) for message in self.call if message.WhichOneof("message") == kind)

    def ended(self) -> Any:
        """The code with which the learner ended the call."""
        return ended(self.call)

    def close(self) -> None:
        """Hang up."""
        self.outbox.put(None)
        self.channel.close()


class Honest(Caller):
    """A worker that plays what it is asked for and delivers it, in one stream that may not break."""

    def __init__(self, port: int, papers: Papers, name: str) -> None:
        super().__init__(port, papers, patience=3600.0)
        self.delivered = 0
        self.failed: Any = None
        self._name, self._over = name, threading.Event()
        self.play().hello()
        self._thread = threading.Thread(target=self._work, name="honest", daemon=True)
        self._thread.start()
        threading.Thread(target=self._live, daemon=True).start()

    def delivers(self, episodes: int = 6) -> None:
        """See that it is not harmed: some more are acknowledged now."""
        enough = self.delivered + episodes
        until(lambda: self.failed or self.delivered >= enough)
        assert not self.failed, self.failed

    def close(self) -> None:
        """Leave."""
        self._over.set()
        self._thread.join(PATIENCE)
        super().close()

    def _live(self) -> None:
        while not self._over.wait(0.5):
            self.say(heartbeat=wire.Heartbeat())

    def _work(self) -> None:
        try:
            sequence = count()
            while not self._over.is_set():
                self.say(ready=wire.Ready())
                asked = self.hear("assignment")
                for index in asked.wanted:
                    report = episode(self._name, next(sequence), asked.number, index, asked.seeds[index])
                    self.say(episode=report)
                    assert self.hear("acknowledged").key == report.key
                    self.delivered += 1
                    time.sleep(0.05)
        except Exception as error:  # for whoever asks whether it is harmed
            if not self._over.is_set():
                self.failed = error


class Siege:
    """A learner, those who have papers for it, and how much it has grown."""

    def __init__(self, realm: Realm, rogue: Realm, folder: Path, policy: Path) -> None:
        self.realm, self.rogue = realm, rogue
        command = [sys.executable, "-m", "tests.rollout.learner_alone", realm.learner(), folder / "journal", policy]
        self._errors = (folder / "learner.log").open("wb")
        self._process = subprocess.Popen(
            list(map(str, command)), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )
        assert self._process.stdout
        self.port: int = json.loads(self._process.stdout.readline())["port"]
        self._seen = psutil.Process(self._process.pid)
        self._names = count()
        self.callers: list[Caller] = []
        self.honest = Honest(self.port, self.papers("ann"), "ann")
        self.honest.delivers(40)
        self._before = self._most = self._seen.memory_info().rss
        threading.Thread(target=self._watch, name="memory", daemon=True).start()

    def papers(self, name: str) -> Papers:
        """A worker's, in order."""
        return self.realm.authority.issue_worker(name)

    def name(self) -> str:
        """Of a worker that nobody has heard of."""
        return f"eve-{next(self._names)}"

    def caller(self, name: str | None = None, **more: Any) -> Caller:
        """Connect."""
        self.callers.append(Caller(self.port, self.papers(name or self.name()), **more))
        return self.callers[-1]

    def grown(self) -> float:
        """MiB that the learner took at most, since it was left alone, above what it had then."""
        return (self._most - self._before) / 2**20

    def _watch(self) -> None:
        with suppress(psutil.Error):
            while self._process.poll() is None:
                self._most = max(self._most, self._seen.memory_info().rss)
                time.sleep(0.05)

    @property
    def files(self) -> int:
        """That the learner has open, connections with them."""
        return self._seen.num_fds()

    @property
    def threads(self) -> int:
        """Of the learner."""
        return self._seen.num_threads()

    def newcomer(self) -> None:
        """See that an honest worker can still come."""
        bob = self.caller()
        bob.play().hello()
        bob.close()

    def leave(self) -> None:
        """Have all go home who were let in by hand."""
        while self.callers:
            self.callers.pop().close()

    def close(self) -> None:
        """End it."""
        self.leave()
        self.honest.close()
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        assert self._process.wait(PATIENCE) == 0
        self._process.stdout.close()
        self._errors.close()
