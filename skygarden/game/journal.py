"""What happened in a game, one line of JSON for each event, for people who test with it."""

import json
import time
from pathlib import Path


class Journal:
    """Writes events to a file, each at once; without a path it writes nothing.

    Every line has "time" (seconds of the monotonic clock), "tick" (how many have been played since the program began)
    and "event": "menu", "began" (with "character", "skin", "spawn"), "jumppad" (with "pad"), "landed", "fell",
    "focus lost", "focus won" or "ended". Skins and spawns count from 0, as in the environments.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("", encoding="utf-8")

    def write(self, event: str, tick: int, **facts: str | int) -> None:
        """Add an event."""
        if self._path is not None:
            line = json.dumps({"time": time.monotonic(), "tick": tick, "event": event, **facts})
            with self._path.open("a", encoding="utf-8") as file:  # and close it: a killed game loses nothing
                file.write(f"{line}\n")
