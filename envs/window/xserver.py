"""A connection to an X server that asks many things in one round trip and waits for none of them for ever.

python-xlib answers one request at a time unless told to defer, raises the errors of vanished windows wherever the next
answer is read, prints those that nobody waits for, and waits without limit. Here a window that is gone is a `None`
among the answers, and a server that is gone or silent is a `WindowLostError`.
"""

import select
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from envs.errors import MissingPackageError, WindowLostError

PATIENCE: Final = 5.0  # s that a server may take to answer
LONGEST: Final = 1 << 16  # 32-bit words of a property that are read

Question = tuple[str, dict[str, Any]]  # the name of a request in Xlib.protocol.request, and its arguments


class XServer:
    """One connection. Not for several threads at once.

    Args: display: like ":0".
    Raises: MissingPackageError: python-xlib is not installed. WindowLostError: no server there, or it refuses.
    """

    def __init__(self, display: str) -> None:
        try:
            from Xlib import error
            from Xlib.display import Display
            from Xlib.protocol import request
        except ImportError as reason:
            raise MissingPackageError(
                "finding windows on X11 needs python-xlib; install it with: pip install 'skygarden[window]'"
            ) from reason
        self._name, self._requests, self._errors = display, request, error
        self._closed, self._atoms = False, dict[str, int]()
        refused: tuple[type[Exception], ...] = (
            error.DisplayError,
            error.ConnectionClosedError,
            error.XauthError,
            OSError,
        )
        connected, why = None, ""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # python-xlib leaves a refused socket open
            try:
                connected = Display(display)
            except refused as reason:
                why = str(reason)
        if connected is None:
            raise WindowLostError(
                f"no X server at {display!r} lets us in ({why}); set DISPLAY to the one that shows the game"
            )
        self._display = connected
        self._display.set_error_handler(_ignore)
        self.screen: int = self._display.get_default_screen()
        self.root: int = self._display.screen().root.id

    def ask(self, *questions: Question) -> list[Any]:
        """The answers to some requests, in their order; None where the window asked about is gone.

        Raises: WindowLostError: the server is gone, or silent for `PATIENCE` seconds.
        """
        with self._telling():
            sent: list[Any] = [
                getattr(self._requests, kind)(display=self._display.display, defer=True, **arguments)
                for kind, arguments in questions
            ]
            # A question that cannot fail: when it is answered, so are all before it.
            last: Any = self._requests.GetInputFocus(display=self._display.display, defer=True)
            self._display.flush()
            while not hasattr(last, "focus"):
                if not select.select([self._display], [], [], PATIENCE)[0]:
                    self.close()
                    raise WindowLostError(f"the X server {self._name} has not answered for {PATIENCE:g} s")
                self._display.pending_events()  # reads what has come
            return [self._answer(request) for request in sent]

    def tell(self, kind: str, **arguments: Any) -> None:
        """Send a request that has no answer. What the server thinks of it is not told: look at what came of it."""
        with self._telling():
            getattr(self._requests, kind)(display=self._display.display, onerror=_ignore, **arguments)
            self._display.flush()

    def events(self) -> Iterator[Any]:
        """The events that have come. They come before the answers to what was asked after them."""
        with self._telling():
            while self._display.pending_events():
                yield self._display.next_event()

    def atom(self, name: str) -> int:
        """The number of a name; the same one as long as the server runs."""
        if name not in self._atoms:
            self._atoms[name] = self.ask(("InternAtom", {"name": name, "only_if_exists": 0}))[0].atom
        return self._atoms[name]

    def property(self, window: int, name: str) -> tuple[int, ...]:
        """A property's numbers or bytes; none where the window has no such thing or is gone."""
        return value_of(self.ask(self.asking_property(window, name))[0])

    def asking_property(self, window: int, name: str) -> Question:
        """The question for a property; `value_of` reads the answer."""
        arguments = {"delete": 0, "window": window, "property": self.atom(name), "type": 0}
        return "GetProperty", {**arguments, "long_offset": 0, "long_length": LONGEST}

    def owner(self, window: int) -> int | None:
        """The process whose connection made a window: the kernel's word, where the server knows X-Resource 1.2."""
        if not self._display.has_extension("X-Resource"):
            return None
        with self._telling(), suppress(self._errors.XError):
            for found in self._display.res_query_client_ids([(window, 2)]).ids:
                if found.value:
                    return int(found.value[0])
        return None

    def close(self) -> None:
        """Close the connection; may be called twice."""
        if not self._closed:
            self._closed = True
            with suppress(self._errors.ConnectionClosedError, OSError):
                self._display.close()

    def _answer(self, request: Any) -> Any:
        try:
            request.reply()
        except self._errors.XError:
            return None
        return request

    @contextmanager
    def _telling(self) -> Generator[None, None, None]:
        if self._closed:
            raise WindowLostError(f"the connection to the X server {self._name} is closed; find the window anew")
        try:
            yield
        except (self._errors.ConnectionClosedError, OSError) as error:
            self._closed = True
            raise WindowLostError(f"the X server {self._name} is gone ({error}), and the game with it") from error


def value_of(answer: Any) -> tuple[int, ...]:
    """The numbers, or bytes, that an answered `asking_property` holds; none where there is nothing."""
    return tuple(answer.value[1]) if answer is not None and answer.property_type else ()


def _ignore(*_: object) -> int:
    """Take care of an error: python-xlib prints those that are left."""
    return 1
