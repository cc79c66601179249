"""How the environment and the process that owns its pad talk: one JSON object a line, over two pipes.

Each line that asks is answered by one line: the reasons for which the pad was let go since the last answer, or an
error. The end of the file means that the other side is gone.
"""

import json
import os
import queue
import threading
from dataclasses import asdict
from typing import Any, Final

from envs.window.pad import KeysConfig, PadConfig, PadState, SticksConfig

CHUNK: Final = 65536  # bytes

Message = dict[str, Any]


def send(fd: int, message: Message) -> None:
    """Write one message.

    Raises: OSError: nobody reads it any more.
    """
    os.write(fd, json.dumps(message).encode() + b"\n")


def listen(fd: int, inbox: "queue.SimpleQueue[Message | None]") -> threading.Thread:
    """Put the messages of a pipe into an inbox, and None at its end or at what is no message.

    In a thread of its own: Windows cannot wait for a pipe with a timeout.
    """
    thread = threading.Thread(target=_read, args=(fd, inbox), name="pad-wire", daemon=True)
    thread.start()
    return thread


def _read(fd: int, inbox: "queue.SimpleQueue[Message | None]") -> None:
    rest = b""
    try:
        while chunk := os.read(fd, CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                inbox.put(json.loads(line))
    except (OSError, ValueError):  # closed under our hands, or no JSON
        pass
    inbox.put(None)


def state_message(state: PadState) -> Message:
    """A state, ready to be sent."""
    return {"pressed": sorted(state.pressed), "sticks": state.sticks}


def read_state(message: Message) -> PadState:
    """The state that was sent.

    Raises: ActionError: it is none.
    """
    return PadState(frozenset(message["pressed"]), *message["sticks"])


def config_message(config: PadConfig) -> Message:
    """Settings, ready to be sent."""
    return asdict(config)


def read_config(message: Message) -> PadConfig:
    """The settings that were sent.

    Raises: OptionError: they are none.
    """
    fields = dict(message)
    fields["touch"] = tuple(message["touch"])
    fields["sticks"] = SticksConfig(**message["sticks"])
    fields["keys"] = KeysConfig(**message["keys"])
    return PadConfig(**fields)
