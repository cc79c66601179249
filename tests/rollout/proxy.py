"""A TCP proxy on loopback that does to connections what networks do: cut them, stall them, delay them.

One thread carries everything. A fault is in force when the method that makes it returns.
"""

import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

_CHUNK = 65536  # bytes read at once
_HELD = 2**20  # bytes of one direction that the proxy keeps; what is more makes the sender wait
_ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: a close is a reset, and what was not sent is lost


@dataclass(slots=True, eq=False)
class _Way:
    """One direction of a connection."""

    source: socket.socket
    sink: socket.socket
    upward: bool  # to the target
    held: deque[tuple[float, bytes]] = field(default_factory=deque)  # and when it may go on
    size: int = 0
    ended: bool = False  # the source has said all

    def take(self, data: bytes, due: float) -> None:
        self.held.append((due, data))
        self.size += len(data)

    def give(self, most: int) -> int:
        """Send up to `most` bytes of what was held longest; returns how many went."""
        due, data = self.held.popleft()
        sent = self.sink.send(data[:most])
        self.size -= sent
        if sent < len(data):
            self.held.appendleft((due, data[sent:]))
        return sent


class Proxy:
    """Carries connections from a port of its own to a target's; closed by `close`.

    Args: target: port of 127.0.0.1; may be changed, for connections from then on. Where nobody listens there, whoever
      connects here is hung up on.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._wake, self._waker = socket.socketpair()
        self._orders: SimpleQueue[tuple[Callable[[], None], threading.Event]] = SimpleQueue()
        self._lines: list[tuple[_Way, _Way]] = []
        self._stalled = False
        self._closed = False
        self._delay = 0.0
        self._left: int | None = None  # bytes that still go up before all is cut
        self.accepted = 0  # connections so far
        self.carried = 0  # bytes that went up so far
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """HOST:PORT to connect to."""
        return f"127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._lines)

    def cut(self) -> None:
        """Reset every connection, with all that is on its way; whoever connects from then on is let in."""
        self._order(lambda: self._cut_all(abort=True))

    def stall(self) -> None:
        """Carry nothing from now on, and say nothing of it; new connections wait as well."""
        self._order(lambda: setattr(self, "_stalled", True))

    def resume(self) -> None:
        """Carry on, first what waited."""
        self._order(lambda: setattr(self, "_stalled", False))

    def delay(self, seconds: float) -> None:
        """Hold everything for so long, in its order, from now on."""
        self._order(lambda: setattr(self, "_delay", seconds))

    def cut_after(self, count: int) -> None:
        """Let so many more bytes go up, which arrive, then cut every connection once."""
        self._order(lambda: setattr(self, "_left", count))

    def close(self) -> None:
        """Cut everything and listen no more."""
        if not self._closed:
            self._order(lambda: setattr(self, "_closed", True))
            self._thread.join()
            for one in (self._listener, self._wake, self._waker):
                one.close()

    def _order(self, what: Callable[[], None]) -> None:
        """Have something done between two rounds; waits until it is."""
        done = threading.Event()
        self._orders.put((what, done))
        self._waker.send(b"!")
        assert done.wait(20.0)

    def _run(self) -> None:
        while not self._closed:
            self._carry()
            with suppress(Empty):
                while True:
                    what, done = self._orders.get_nowait()
                    what()
                    done.set()
        self._cut_all(abort=True)

    def _carry(self) -> None:
        ways = [] if self._stalled else [way for line in self._lines for way in line]
        now = time.monotonic()
        due = [way for way in ways if way.held and way.held[0][0] <= now]
        later = [way.held[0][0] - now for way in ways if way.held and way.held[0][0] > now]
        sources = {way.source: way for way in ways if not way.ended and way.size < _HELD}
        listening = [] if self._stalled else [self._listener]
        readable, writable, _ = select.select(
            [self._wake, *listening, *sources], [way.sink for way in due], [], min(later, default=None)
        )
        if self._wake in readable:
            self._wake.recv(4096)
        if self._listener in readable:
            self._accept()
        for way in due:
            if way.sink in writable and self._lives(way):
                self._push(way)
        for source, way in sources.items():
            if source in readable and self._lives(way):
                self._pull(way)

    def _lives(self, way: _Way) -> bool:
        return any(way in line for line in self._lines)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=1.0)
        except OSError:
            _close(client, abort=True)
            return
        for one in (client, server):
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.accepted += 1
        self._lines.append((_Way(client, server, upward=True), _Way(server, client, upward=False)))

    def _pull(self, way: _Way) -> None:
        try:
            data = way.source.recv(_CHUNK)
        except OSError:
            self._hang_up(way)
            return
        way.ended = not data
        if data:
            way.take(data, time.monotonic() + self._delay)
        elif not way.held:
            self._hang_up(way)

    def _push(self, way: _Way) -> None:
        counted = way.upward and self._left is not None
        try:
            sent = way.give(self._left if counted and self._left is not None else _HELD)
        except OSError:
            self._hang_up(way)
            return
        if way.upward:
            self.carried += sent
        if counted and self._left is not None:
            self._left -= sent
            if self._left <= 0:
                self._left = None
                self._cut_all(abort=False)
                return
        if way.ended and not way.held:
            self._hang_up(way)

    def _hang_up(self, way: _Way) -> None:
        """One side is gone: so is the other."""
        for line in [line for line in self._lines if way in line]:
            self._end(line, abort=False)

    def _cut_all(self, *, abort: bool) -> None:
        for line in list(self._lines):
            self._end(line, abort=abort)

    def _end(self, line: tuple[_Way, _Way], *, abort: bool) -> None:
        self._lines.remove(line)
        for way in line:
            _close(way.source, abort=abort)


def _close(one: socket.socket, *, abort: bool) -> None:
    with suppress(OSError):
        if abort:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    one.close()
