"""Windows on X11, with a window manager or with none.

A look is one round trip, and a second where something lies above the window in the order of stacking. Covered is what
the server's own stacking says: another top-level window that is shown, draws (InputOutput) and lies above the game's
one, or above the frame that a window manager put around it. Shapes and transparency are not asked for: an overlay that
shows the game through counts as covering it. Tooltips and the like, that no window manager touches (override-redirect),
may hide up to one percent.

Focused is what the server does with a key (X11 protocol, section 11, KeyPress), injected ones among them: it goes to
the window that has the input focus or one within it, else to what is under the pointer within that. A window manager's
_NET_ACTIVE_WINDOW may lag behind that or name a window that a grab keeps keys from, so it is not asked.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from envs.errors import WindowLostError
from envs.window.locate import GONE, Candidate, Rectangle, Sight, State, Wanted, choose
from envs.window.xserver import XServer, value_of

TOOLTIP: Final = 0.01  # of the client area that an override-redirect window may hide
DEEPEST: Final = 16  # windows within windows

# Numbers of the protocol.
INPUT_ONLY, VIEWABLE, ICONIC = 2, 2, 3
POINTER_ROOT, PARENT = 1, 2
STRUCTURE_NOTIFY, SUBSTRUCTURE, DESTROYED = 1 << 17, 3 << 19, 17

WAYLAND: Final = (
    "Wayland tells no program where another's window is. Run the game under an X server of its own (gamescope, Xephyr),"
    " or through XWayland (SDL games: SDL_VIDEODRIVER=x11), or log in to an X11 session"
)


class X11Window:
    """A window of an X server, through a connection of its own."""

    def __init__(self, server: XServer, found: Candidate) -> None:
        self._server, self._found = server, found
        self._gone = False
        server.tell("ChangeWindowAttributes", window=found.id, attrs={"event_mask": STRUCTURE_NOTIFY})
        self._frame = _top_level(server, found.id)  # the root's child that holds it: a manager's frame, or itself

    @property
    def title(self) -> str:
        """Its title when it was found."""
        return self._found.title

    @property
    def id(self) -> int:
        """The X server's number for it."""
        return self._found.id

    @property
    def pid(self) -> int | None:
        """The process that made it, where the server or the game tells."""
        return self._found.pid

    def look(self) -> Sight:
        """Ask the X server now. Raises: WindowLostError: the server is gone."""
        if self._gone:
            return GONE
        here, root, server = {"window": self.id}, {"window": self._server.root}, self._server
        answers = server.ask(
            ("GetGeometry", {"drawable": server.root}),
            ("GetGeometry", {"drawable": self.id}),
            ("TranslateCoords", {"src_wid": self.id, "dst_wid": server.root, "src_x": 0, "src_y": 0}),
            ("GetWindowAttributes", here),
            ("QueryTree", root),
            ("GetInputFocus", {}),
            ("QueryPointer", root),
            server.asking_property(self.id, "WM_STATE"),
            server.asking_property(self.id, "_NET_WM_STATE"),
        )
        screen, geometry, corner, attributes, tree, focus, pointer, wm_state, net_state = answers
        # A new window may have the number of one that was destroyed, so the event counts too.
        destroyed = [e for e in server.events() if e.type == DESTROYED and e.window.id == self.id]
        if destroyed or geometry is None or corner is None or attributes is None:
            self._gone = True
            return GONE
        client = Rectangle(corner.x, corner.y, geometry.width, geometry.height)
        stacked = [child.id for child in tree.children]
        hidden = server.atom("_NET_WM_STATE_HIDDEN") in value_of(net_state)
        if attributes.map_state != VIEWABLE or value_of(wm_state)[:1] == (ICONIC,) or hidden:
            return Sight(client, "minimised", False)
        self._frame = self._frame if self._frame in stacked else _top_level(server, self.id)
        everything = Rectangle(0, 0, screen.width, screen.height)
        state: State = "visible" if everything.contains(client) and not self._covered(client, stacked) else "covered"
        return Sight(client, state, self._focused(focus.focus, pointer, client))

    def focus(self) -> None:
        """Raise it and give it the input focus, through the window manager where there is one that can.

        Raises: WindowLostError: the server is gone.
        """
        active = self._server.atom("_NET_ACTIVE_WINDOW")
        if active in self._server.property(self._server.root, "_NET_SUPPORTED"):
            from Xlib.protocol.event import ClientMessage

            # 2: asked for by a person's tool, which window managers obey; 0: now.
            message = ClientMessage(window=self.id, client_type=active, data=(32, [2, 0, 0, 0, 0]))
            arguments = {"destination": self._server.root, "event_mask": SUBSTRUCTURE, "event": message}
            self._server.tell("SendEvent", propagate=False, **arguments)
        self._server.tell("ConfigureWindow", window=self.id, attrs={"stack_mode": 0})
        # Refused by the server where the window is not shown; a window manager shows it and does this itself.
        self._server.tell("SetInputFocus", focus=self.id, revert_to=PARENT, time=0)
        self._server.ask(("GetInputFocus", {}))

    def close(self) -> None:
        """Close the connection; may be called twice."""
        self._server.close()

    def _covered(self, client: Rectangle, stacked: list[int]) -> bool:
        """Whether a window above hides part of the client area. `stacked` is from the bottom to the top."""
        above = stacked[stacked.index(self._frame) + 1 :] if self._frame in stacked else []
        if not above:
            return False
        questions = [
            question
            for window in above
            for question in (("GetGeometry", {"drawable": window}), ("GetWindowAttributes", {"window": window}))
        ]
        answers = self._server.ask(*questions)
        for geometry, attributes in zip(answers[::2], answers[1::2], strict=True):
            if geometry is None or attributes is None:
                continue  # it went since the first round trip
            if attributes.map_state != VIEWABLE or attributes.win_class == INPUT_ONLY:
                continue
            hidden = client.shared(_outside(geometry))
            spared = TOOLTIP * client.width * client.height if attributes.override_redirect else 0
            if hidden > spared:
                return True
        return False

    def _focused(self, focus: Any, pointer: Any, client: Rectangle) -> bool:
        """Whether a key reaches the window. `focus` is a window, or a number for none and for the root's pointer."""
        focused = focus if isinstance(focus, int) else focus.id
        if focused == self.id:
            return True
        under = pointer.child if isinstance(pointer.child, int) else pointer.child.id
        spot = Rectangle(pointer.root_x, pointer.root_y, 1, 1)
        pointed = under == self._frame and client.contains(spot)
        if focused in {POINTER_ROOT, self._server.root}:
            return pointed
        if focused == 0:
            return False
        if self.id in _ancestors(self._server, focused):
            return True
        return pointed and focused in _ancestors(self._server, self.id)


def _outside(geometry: Any) -> Rectangle:
    border = 2 * geometry.border_width
    return Rectangle(geometry.x, geometry.y, geometry.width + border, geometry.height + border)


def _ancestors(server: XServer, window: int) -> list[int]:
    """The windows that hold a window, from the inside to the child of the root."""
    found: list[int] = []
    while len(found) < DEEPEST:
        tree = server.ask(("QueryTree", {"window": window}))[0]
        if tree is None or isinstance(tree.parent, int) or tree.parent.id == server.root:
            break
        window = tree.parent.id
        found.append(window)
    return found


def _top_level(server: XServer, window: int) -> int:
    return (_ancestors(server, window) or [window])[-1]


def find(wanted: Wanted, environment: Mapping[str, str]) -> X11Window:
    """Find a window on the display that the environment names.

    Raises: MissingPackageError: no python-xlib. WindowLostError: none, several, no display, or Wayland.
    """
    wayland = is_wayland(environment)
    display = environment.get("DISPLAY", "")
    if not display:
        why = WAYLAND if wayland else "start the game in an X11 session, or under Xvfb or Xephyr, and set DISPLAY to it"
        raise WindowLostError(f"no {wanted} can be found: DISPLAY is not set; {why}")
    server = XServer(display)
    try:
        return X11Window(server, _choose(server, wanted))
    except WindowLostError as error:
        server.close()
        raise WindowLostError(f"{error}. On {display}; {WAYLAND}") if wayland else error from None


def is_wayland(environment: Mapping[str, str]) -> bool:
    """Whether this is a Wayland session, with or without an X server in it."""
    return "WAYLAND_DISPLAY" in environment or environment.get("XDG_SESSION_TYPE") == "wayland"


def _choose(server: XServer, wanted: Wanted) -> Candidate:
    """The window that fits among those that a window manager lists, or else among all."""
    listed = [_candidate(server, window) for window in server.property(server.root, "_NET_CLIENT_LIST")]
    known = [candidate for candidate in listed if candidate is not None]
    if any(wanted.fits(candidate) for candidate in known):
        return choose(known, wanted)
    return choose(_walk(server, server.root, 0), wanted)


def _walk(server: XServer, window: int, depth: int) -> list[Candidate]:
    """The windows in a window that are a program's: with a mark of a window manager, or shown and with a title.

    What lies in one of these is the program's own business and is not searched.
    """
    tree = server.ask(("QueryTree", {"window": window}))[0]
    found: list[Candidate] = []
    for child in [] if tree is None else [child.id for child in tree.children]:
        attributes, mark = server.ask(
            ("GetWindowAttributes", {"window": child}), server.asking_property(child, "WM_STATE")
        )
        if attributes is None or attributes.win_class == INPUT_ONLY:
            continue
        candidate = _candidate(server, child)
        if candidate is not None and (value_of(mark) or (candidate.title and attributes.map_state == VIEWABLE)):
            found.append(candidate)
        elif depth < DEEPEST:
            found += _walk(server, child, depth + 1)
    return found


def _candidate(server: XServer, window: int) -> Candidate | None:
    """What a window says of itself; None where it is gone."""
    attributes, *properties = server.ask(
        ("GetWindowAttributes", {"window": window}),
        *(server.asking_property(window, name) for name in ("_NET_WM_NAME", "WM_NAME", "_NET_WM_PID")),
    )
    if attributes is None:
        return None
    modern, plain, number = (value_of(answer) for answer in properties)
    title = _bytes(modern).decode("utf-8", "replace") or _bytes(plain).decode("latin-1")
    # A game in a container counts its processes from one: the server's word comes first.
    pid = server.owner(window) or (number[0] if number else None)
    return Candidate(window, title, pid, () if pid is None else process_names(pid))


def _bytes(numbers: tuple[int, ...]) -> bytes:
    return bytes(number & 0xFF for number in numbers)  # a title that is no text is not our trouble


def process_names(pid: int) -> tuple[str, ...]:
    r"""What a process is called: its executable, its first argument (Wine: C:\games\game.exe) and its own word."""
    home, names = Path("/proc", str(pid)), list[str]()
    with suppress(OSError):
        names.append((home / "exe").readlink().name)
    with suppress(OSError):
        first = (home / "cmdline").read_bytes().split(b"\0")[0].decode("utf-8", "replace")
        names.append(re.split(r"[/\\]", first)[-1])
    with suppress(OSError):
        names.append((home / "comm").read_text(encoding="utf-8", errors="replace").strip())
    return tuple(dict.fromkeys(name for name in names if name))
