"""Laws of the proxy through which other tests speak: what it carries is whole, and its faults are those it was told."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from tests.rollout.proxy import Proxy

PATIENCE = 20.0  # seconds, which no test waits


def until(holds: Callable[[], bool]) -> None:
    """Look again and again until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Echo:
    """Sends back what comes, and keeps it."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.heard: list[bytes] = []
        self.ended = 0
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._listener.accept()
                self.heard.append(b"")
                self._threads.append(threading.Thread(target=self._answer, args=(line, len(self.heard) - 1)))
                self._threads[-1].start()

    def _answer(self, line: socket.socket, number: int) -> None:
        with line, suppress(OSError):
            while data := line.recv(65536):
                self.heard[number] += data
                line.sendall(data)
        self.ended += 1

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)


@pytest.fixture
def echo() -> Iterator[Echo]:
    """One who answers."""
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    """A proxy before it."""
    proxy = Proxy(echo.port)
    yield proxy
    proxy.close()


def connect(proxy: Proxy) -> socket.socket:
    """A connection through it."""
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE)


def receive(line: socket.socket, count: int) -> bytes:
    """So many bytes."""
    data = b""
    while len(data) < count and (more := line.recv(count - len(data))):
        data += more
    return data


def is_over(line: socket.socket) -> bool:
    """Whether a connection has ended, by waiting for it."""
    try:
        return line.recv(1) == b""
    except ConnectionError:
        return True


def test_what_it_carries_is_whole(proxy: Proxy) -> None:
    sent = bytes(range(256)) * 40_000  # more than it holds
    with connect(proxy) as line:
        thread = threading.Thread(target=line.sendall, args=(sent,))
        thread.start()
        assert receive(line, len(sent)) == sent
        thread.join()
    assert proxy.carried == len(sent)


def test_a_cut_ends_what_is_there_and_nothing_after(proxy: Proxy) -> None:
    with connect(proxy) as first, connect(proxy) as second:
        for line in (first, second):
            line.sendall(b"a")
            assert receive(line, 1) == b"a"
        proxy.cut()
        assert is_over(first)
        assert is_over(second)
        assert proxy.connections == 0
    with connect(proxy) as third:
        third.sendall(b"b")
        assert receive(third, 1) == b"b"


def test_a_stall_is_silent_and_what_waited_comes_when_it_is_over(proxy: Proxy, echo: Echo) -> None:
    with connect(proxy) as line:
        line.sendall(b"a")
        assert receive(line, 1) == b"a"
        proxy.stall()
        line.sendall(b"bc")
        with connect(proxy) as other:
            other.sendall(b"d")
            for waiting in (line, other):
                waiting.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    waiting.recv(1)
                waiting.settimeout(PATIENCE)
            assert echo.heard == [b"a"]
            proxy.resume()
            assert receive(line, 2) == b"bc"
            assert receive(other, 1) == b"d"


def test_a_cut_comes_after_so_many_bytes_to_the_byte_and_once(proxy: Proxy, echo: Echo) -> None:
    proxy.cut_after(7)
    with connect(proxy) as line:
        line.sendall(b"0123456789")
        assert receive(line, 10) in {b"0123456"[:k] for k in range(8)}
        until(lambda: echo.ended == 1)
        assert echo.heard == [b"0123456"]
    with connect(proxy) as line:
        line.sendall(b"0123456789")
        assert receive(line, 10) == b"0123456789"


def test_a_delay_holds_both_ways_in_order(proxy: Proxy) -> None:
    proxy.delay(0.05)
    with connect(proxy) as line:
        begun = time.monotonic()
        for letter in b"abc":
            line.sendall(bytes([letter]))
        assert receive(line, 3) == b"abc"
        assert time.monotonic() - begun >= 0.1


def test_where_nobody_listens_whoever_connects_is_hung_up_on(proxy: Proxy) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        proxy.target = nobody.getsockname()[1]
        try:
            with connect(proxy) as line:
                assert is_over(line)
        except ConnectionResetError:  # it was over before it began
            pass


def test_who_hangs_up_is_heard_on_the_other_side_after_all_it_said(proxy: Proxy, echo: Echo) -> None:
    with connect(proxy) as line:
        line.sendall(b"farewell")
        assert receive(line, 8) == b"farewell"
    until(lambda: echo.ended == 1)
    assert echo.heard == [b"farewell"]


def test_closing_leaves_no_thread_and_no_connection(echo: Echo) -> None:
    before = set(threading.enumerate())
    proxy = Proxy(echo.port)
    with connect(proxy) as line:
        line.sendall(b"a")
        receive(line, 1)
        proxy.stall()
        proxy.close()
        proxy.close()
        assert is_over(line)
    until(lambda: {thread for thread in threading.enumerate() if thread.name == "proxy"} <= before)
