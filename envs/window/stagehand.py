"""Who presses and sees on the way to the start of an episode: a pad and a game's window."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from envs.backend import Start
from envs.errors import WindowLostError
from envs.window.capture import Capture
from envs.window.game import Game
from envs.window.looks import difference, load_picture, part_of
from envs.window.pad import PadState
from envs.window.profile import Profile


class Pad(Protocol):
    """A pad that lets go by itself; see `envs.window.guarded_pad`."""

    @property
    def devices(self) -> tuple[str, ...]:
        """Input devices of the system that are this pad."""
        ...

    def hold(self, state: PadState) -> str | None:
        """Hold exactly this; why it was let go since the last call, if it was."""
        ...

    def release(self) -> str | None:
        """Let everything go."""
        ...

    def resume(self) -> None:
        """What made it let go is dealt with."""
        ...

    def close(self) -> None:
        """Let everything go, for good; may be called twice."""
        ...


class WindowHand:
    """A hand for `envs.window.macro`."""

    def __init__(self, profile: Profile, start: Start, game: Game, capture: Capture, pad: Pad) -> None:
        self._profile, self._start = profile, start
        self._game, self._capture, self._pad = game, capture, pad
        self._pictures: dict[str, NDArray[np.uint8]] = {}

    def press(self, button: str | None) -> None:
        """See Stagehand."""
        reason = self._pad.release() if button is None else self._pad.hold(PadState(frozenset((button,))))
        if reason not in (None, "late"):  # a button that was let go too early is pressed again
            raise WindowLostError(f"the way to the start of an episode was interrupted: {reason}")

    def difference(self, look: str) -> float:
        """See Stagehand."""
        if look not in self._pictures:
            self._pictures[look] = load_picture(self._profile.image(look, self._start))
        client = self._game.look().client
        if client is None:
            raise WindowLostError("the game's window is gone")
        shown = self._capture.shoot(part_of(client, self._profile.looks[look].region)).rgb()
        return difference(shown, self._pictures[look]) / self._profile.looks[look].tolerance
