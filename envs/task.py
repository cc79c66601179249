"""The navigation task, as far as it is the same for one environment and for many: starts, rewards, the time limit."""

import operator
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Final, Literal, SupportsIndex, get_args

import numpy as np

from envs.backend import JUMPPADS, SPAWNS, Start
from envs.errors import OptionError

MAX_STEPS: Final = 100
START_OPTIONS: Final = ("spawn", "character", "skin")

RewardKind = Literal["none", "jumppad"]
REWARDS: Final = get_args(RewardKind)


@dataclass(frozen=True, slots=True)
class Reward:
    """What the environment pays: nothing, or 1 on reaching the target pad (any pad where there is no target).

    Raises: OptionError: an unknown kind or pad, or a target without a reward.
    """

    kind: RewardKind = "none"
    target: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in REWARDS:
            raise OptionError(f"reward must be one of {', '.join(REWARDS)}, got {self.kind!r}")
        if self.target is not None and self.target not in JUMPPADS:
            raise OptionError(f"target must be one of {', '.join(JUMPPADS)}, got {self.target!r}")
        if self.target is not None and self.kind == "none":
            raise OptionError(f"target={self.target!r} needs reward='jumppad'; with reward='none' it has no effect")

    def of(self, jumppad: str | None) -> float:
        """The reward of a step that reached a pad, or none."""
        hit = self.kind == "jumppad" and jumppad is not None and self.target in (None, jumppad)
        return 1.0 if hit else 0.0


def draw_start(
    rng: np.random.Generator, options: dict[str, Any] | None, characters: tuple[str, ...], skins: int
) -> Start:
    """The start that reset options ask for: by default a random spawn, the first character and its first skin.

    Args: options: `spawn` (0 to 3), `character` (a name, or "random"), `skin` (an index, or "random").
    Raises: OptionError: an option is unknown or out of range.
    """
    given = dict(options or {})
    unknown = sorted(str(name) for name in set(given) - set(START_OPTIONS))
    if unknown:
        raise OptionError(f"unknown reset options {unknown}; there are {', '.join(START_OPTIONS)}")
    # Always three draws, so that an option does not change what a seed gives for the others.
    random = (int(rng.integers(SPAWNS)), characters[int(rng.integers(len(characters)))], int(rng.integers(skins)))
    spawn = _index("spawn", given.get("spawn", "random"), SPAWNS, random[0])
    character = given.get("character", characters[0])
    if character == "random":
        character = random[1]
    if character not in characters:
        raise OptionError(f"unknown character {character!r}; there are {', '.join(characters)}, or 'random'")
    return Start(spawn, character, _index("skin", given.get("skin", 0), skins, random[2]))


def check_seed(seed: object) -> int:
    """The seed of a dressing.

    Raises: OptionError: it is not an integer, or negative.
    """
    if isinstance(seed, bool) or not isinstance(seed, SupportsIndex) or operator.index(seed) < 0:
        raise OptionError(f"seed must be an integer that is not negative, got {seed!r}")
    return operator.index(seed)


def _index(name: str, value: object, size: int, drawn: int) -> int:
    if isinstance(value, str) and value == "random":
        return drawn
    index = int(value) if not isinstance(value, bool) and isinstance(value, Integral) else -1
    if not 0 <= index < size:
        raise OptionError(f"{name} must be an integer from 0 to {size - 1} or 'random', got {value!r}")
    return index
