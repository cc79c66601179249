"""Replays: gameplay as what was pressed, drawn again when it is read.

The stand-in is deterministic, so a match is its actions, where its lives began, and the player's state now and then to
start drawing from. An hour takes some 100 kB where its frames would take 1.8 GB.
"""

import itertools
import zipfile
import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from envs.backend import SIDE
from envs.errors import ReplayError
from envs.gamepad import COMPONENTS, SIZES
from envs.standin.characters import NAMES as CHARACTERS
from envs.standin.characters import PACE, SKINS, WARDROBE
from envs.standin.physics import BODY, SUBSTEPS
from envs.standin.scene import build_world
from envs.standin.simulation import (
    NO_TRAIL,
    Brush,
    Easel,
    Stage,
    advance_and_draw,
    advance_body,
    make_brush,
    make_stage,
    new_turn,
    put_body,
)

VERSION: Final = 2
KEY_EVERY: Final = 50  # steps between the states that are kept
FIELDS: Final = len(BODY.names or ())


@dataclass(frozen=True, slots=True)
class Sight:
    """How a player's moments become frames.

    Raises: ReplayError: actions would come a step late or before their frames, or frames would have to grow.
    """

    late: int = 0  # ticks of 1/60 s by which actions come after their frames, less than a step
    drawn: int = SIDE  # pixels a side, from which frames are shrunk

    def __post_init__(self) -> None:
        if not 0 <= self.late < SUBSTEPS or self.drawn < SIDE:
            raise ReplayError(
                f"actions come 0 to {SUBSTEPS - 1} ticks after their frames, which are drawn at {SIDE} pixels a side "
                f"or more; got {self}"
            )


DIRECT: Final = Sight()


@dataclass(frozen=True, slots=True)
class Replay:
    """A match of one player.

    `lives` holds, for each life, the step before which it begins and its spawn; the first begins at 0. `keys` holds the
    player's state before steps 0, 50, 100 ... Raises: ReplayError: the parts do not fit together.
    """

    actions: NDArray[np.uint8]  # (T, 16)
    lives: NDArray[np.int32]  # (L, 2): step, spawn
    jumppads: NDArray[np.int32]  # (L, 2): step of reaching a pad in this life and its index, or -1, -1
    keys: NDArray[np.float64]  # (ceil(T / 50), fields of BODY)
    dressing: int
    character: int
    skin: int
    player: str  # what kind of player it was
    seed: int

    def __post_init__(self) -> None:
        actions, steps = self.actions, len(self.actions)
        fits = {
            "actions": actions.dtype == np.uint8
            and actions.shape == (steps, len(COMPONENTS))
            and bool((actions < np.array(SIZES)).all()),
            "lives": self.lives.ndim == 2 and self.lives.size > 0 and self.lives[0, 0] == 0,
            "jumppads": self.jumppads.shape == self.lives.shape == (len(self.lives), 2),
            "keys": self.keys.shape == (-(-steps // KEY_EVERY), FIELDS),
            "character": 0 <= self.character < len(CHARACTERS) and 0 <= self.skin < SKINS,
        }
        if not all(fits.values()):
            wrong = ", ".join(part for part, fit in fits.items() if not fit)
            raise ReplayError(f"parts of this replay do not fit together: {wrong}")

    def __len__(self) -> int:
        """Steps, of 0.1 s."""
        return len(self.actions)

    def check_window(self, start: int, length: int) -> None:
        """Raise ReplayError where steps [start, start + length) are not at least one and all in this replay."""
        if start < 0 or length < 1 or start + length > len(self):
            raise ReplayError(f"steps {start} to {start + length} are not all in a replay of {len(self)} steps")

    def save(self, path: Path) -> None:
        """Write beside, then rename: a file under its own name is whole."""
        beside = path.with_name(path.name + ".part")
        with beside.open("wb") as file:
            np.savez_compressed(file, version=VERSION, **{f.name: getattr(self, f.name) for f in fields(self)})
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a replay.

        Raises: ReplayError: the file is missing, damaged, cut short, or of another version.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                content = {name: stored[name] for name in stored.files}
        except FileNotFoundError as error:
            raise ReplayError(f"there is no replay {path}") from error
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, KeyError) as error:
            raise ReplayError(f"{path} is damaged or cut short ({error}); record it anew") from error
        version = content.pop("version", None)
        if version is None or int(version) != VERSION:
            raise ReplayError(f"{path} is of version {version}, this program reads {VERSION}; record it anew")
        missing = sorted({f.name for f in fields(cls)} - set(content))
        if missing:
            raise ReplayError(f"{path} lacks {', '.join(missing)}; record it anew")
        scalars = {name: content.pop(name).item() for name in ("dressing", "character", "skin", "player", "seed")}
        return cls(**{f.name: content[f.name] for f in fields(cls) if f.name in content}, **scalars)


class Recorder:
    """A match being played, and kept.

    `body` (1,) BODY may be read at any time. Begin a life before the first step.
    """

    def __init__(self, dressing: int, character: int, skin: int, player: str, seed: int) -> None:
        self.stage = stage_of(dressing)
        self.body = np.zeros(1, BODY)
        self._about = (dressing, character, skin, player, seed)
        self._pace = float(WARDROBE.build[character, PACE])
        self._actions: list[NDArray[np.uint8]] = []
        self._lives: list[tuple[int, int]] = []
        self._jumppads: list[tuple[int, int]] = []
        self._keys: list[NDArray[np.float64]] = []

    def __len__(self) -> int:
        """Steps so far."""
        return len(self._actions)

    def begin(self, spawn: int) -> None:
        """Start a life at a spawn."""
        put_body(self.stage, self.body, spawn, self._pace, False)
        self._lives.append((len(self), spawn))
        self._jumppads.append((-1, -1))

    def step(self, action: NDArray[np.uint8]) -> bool:
        """Hold an action, (16,) uint8, for a step; True where this life has now reached its first pad."""
        if len(self) % KEY_EVERY == 0:
            self._keys.append(to_key(self.body))
        advance_body(self.stage, self.body, action[None], NO_TRAIL, 0)
        self._actions.append(action)
        pad = int(self.body[0]["jumppad"])
        first = pad >= 0 and self._jumppads[-1][0] < 0
        if first:
            self._jumppads[-1] = (len(self) - 1, pad)
        return first

    def replay(self) -> Replay:
        """The match so far."""
        actions = np.array(self._actions, np.uint8).reshape(-1, len(COMPONENTS))
        keys = np.array(self._keys).reshape(-1, FIELDS)
        lives, jumppads = np.array(self._lives, np.int32), np.array(self._jumppads, np.int32)
        return Replay(actions, lives, jumppads, keys, *self._about)


class ReplayReader:
    """Draws windows of one replay. Several threads may each use a reader of their own on the same replay.

    Args: brush: memory to draw with, of one thread at a time; readers of one dressing may share it. trusted: another
      reader has drawn from this replay, which need not be checked again.
    """

    def __init__(self, replay: Replay, brush: Brush | None = None, *, trusted: bool = False) -> None:
        self.replay = replay
        self._stage = stage_of(replay.dressing)
        self._brush = brush or make_brush(self._stage, SIDE, SIDE)
        self._pace = float(WARDROBE.build[replay.character, PACE])
        self._births: dict[int, int] = dict(replay.lives.tolist())  # spawns by the step before which a life begins
        self._checked = trusted

    def window(
        self, start: int, length: int, out: NDArray[np.uint8] | None = None, sight: Sight = DIRECT
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """What was seen and done in steps [start, start + length).

        Args: out: as `draw`. sight: as both.
        Returns: frames (length, 128, 128, 3) uint8 and actions (length, 16) uint8; the action follows its frame.
        Raises: as `states`.
        """
        frames = self.draw(self.states(start, length, sight), out, sight)
        return frames, self.replay.actions[start : start + length]

    def states(self, start: int, length: int, sight: Sight = DIRECT) -> NDArray[np.void]:
        """The player as frames of steps [start, start + length) show it, (length,) BODY.

        Args: sight: frames that actions come late after show the player so much earlier, but not before a life began.
        Raises: ReplayError: the window lies outside the replay, or the replay does not belong to this world.
        """
        self.replay.check_window(start, length)
        if not self._checked:
            self._check_rules()
        return self._play(start, start + length, sight.late)

    def draw(
        self, states: NDArray[np.void], out: NDArray[np.uint8] | None = None, sight: Sight = DIRECT
    ) -> NDArray[np.uint8]:
        """Frames of some of the player's states, (length, 128, 128, 3) uint8.

        Args: out: memory to draw them in; default: new. sight: how many pixels a side they are drawn at.
        """
        count = len(states)
        frames = np.empty((count, SIDE, SIDE, 3), np.uint8) if out is None else out
        if sight.drawn != SIDE:
            easel = Easel(self._stage, sight.drawn, sight.drawn)
            for k in range(count):
                picture = easel.draw(states[k : k + 1], self.replay.character, self.replay.skin)
                cv2.resize(picture, (SIDE, SIDE), dst=frames[k], interpolation=cv2.INTER_AREA)
            return frames
        cast = (states, np.full(count, self.replay.character), np.full(count, self.replay.skin))
        still, actions = np.zeros(count, np.bool_), np.zeros((count, len(COMPONENTS)), np.uint8)
        advance_and_draw(self._stage, self._brush, cast, actions, still, new_turn(), count, frames)
        return frames

    def _play(self, first: int, last: int, late: int) -> NDArray[np.void]:
        """The player so many ticks before each of steps [first, last), BODY: played on from the last key state."""
        key = max(0, first - (late > 0)) // KEY_EVERY  # what is late was seen in the step before
        begin = key * KEY_EVERY
        body, trail = from_key(self.replay.keys[key]), np.zeros(last - begin, BODY)
        for low, high in self._parts(begin, last):
            if low > begin:  # a key state already has the life that begins with it
                self._respawn(body, low)
            advance_body(self._stage, body, self.replay.actions[low:high], trail[low - begin : high - begin], late)
        return trail[first - begin :]

    def _parts(self, low: int, high: int) -> list[tuple[int, int]]:
        """Cut [low, high) where lives begin."""
        begins = self.replay.lives[:, 0]
        cuts = [low, *begins[(begins > low) & (begins < high)].tolist(), high]
        return [(a, b) for a, b in itertools.pairwise(cuts) if a < b]

    def _respawn(self, body: NDArray[np.void], step: int) -> None:
        if step in self._births:
            put_body(self._stage, body, self._births[step], self._pace, False)

    def _check_rules(self) -> None:
        """Play the first stretch: if it ends elsewhere, the replay was made by another version of the rules."""
        if len(self.replay.keys) > 1:
            there = self._play(KEY_EVERY - 1, KEY_EVERY, 0)
            advance_body(self._stage, there, self.replay.actions[KEY_EVERY - 1 : KEY_EVERY], NO_TRAIL, 0)
            self._respawn(there, KEY_EVERY)
            if not np.array_equal(to_key(there), self.replay.keys[1]):
                raise ReplayError("this replay was recorded under other rules of motion; record it anew")
        self._checked = True


def stage_of(dressing: int) -> Stage:
    """The world of a dressing seed, for kernels."""
    return make_stage(build_world(dressing))


def to_key(body: NDArray[np.void]) -> NDArray[np.float64]:
    """The one body's fields as numbers, (fields,)."""
    return body.view(np.float64).astype(np.float64)


def from_key(key: NDArray[np.float64]) -> NDArray[np.void]:
    """The inverse of `to_key`: (1,) BODY."""
    return key.copy().view(BODY)
