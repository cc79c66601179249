"""What is wanted of an agent: a jump pad, or a rule of the user's own that compares trajectories.

A rule is a function of two trajectories, named as `module:function`, or a `Rule`, which gives each trajectory a number.
skygarden/rules.py has some to use and to copy.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from agents.preferences import Outcome, Teacher, ask, preferred, returns
from envs.backend import JUMPPADS
from envs.episode import Episode
from envs.errors import OptionError
from skygarden.film import film

ANY_PAIRS: Final = 100_000  # that accuracy is measured on, at most
FEW_PAIRS: Final = 2_000  # where a rule looks at each pair, and perhaps at its frames


@dataclass(frozen=True, slots=True)
class Trajectory:
    """What an agent did, as a rule sees it."""

    episode: Episode

    def __len__(self) -> int:
        """Steps, of 0.1 s."""
        return len(self.episode)

    @property
    def actions(self) -> NDArray[np.uint8]:
        """(T, 16), bucket indices; see envs/gamepad.py."""
        return self.episode.actions

    @property
    def positions(self) -> NDArray[np.float32]:
        """(T + 1, 3), metres; nothing that learns sees them."""
        return self.episode.positions

    @property
    def outcome(self) -> str | None:
        """The pad that was reached: "left", "middle", "right" or None."""
        return self.episode.jumppad

    def frames(self) -> NDArray[np.uint8]:
        """(T, 128, 128, 3), what was seen; drawn anew at every call, in some 10 ms."""
        return film(self.episode)


@dataclass(frozen=True, slots=True)
class Rule:
    """Prefers the trajectory that is worth more; knows, where `shows` is given, which ones show what is wanted."""

    worth: Callable[[Trajectory], float]
    shows: Callable[[Trajectory], bool] | None = None  # for the eye only: nothing is learnt from it

    def __call__(self, first: Trajectory, second: Trajectory) -> float:
        """1 where the first is worth more, 0 the second, 0.5 neither."""
        return preferred(self.worth(first), self.worth(second))


Compares = Callable[[Trajectory, Trajectory], float]  # 1 the first is better, 0 the second, 0.5 neither, NaN no answer


@dataclass(frozen=True, slots=True)
class Aim:
    """Something to align to.

    Args: name: a pad, or the `module:function` of a rule.
    """

    name: str
    rule: Compares | None  # None for a pad: the paper's rule

    @property
    def title(self) -> str:
        """What to call it."""
        return f"{self.name} pad" if self.rule is None else self.name.rpartition(":")[2].replace("_", " ")

    @property
    def pairs(self) -> int:
        """How many pairs to test on, at most."""
        return ANY_PAIRS if self.rule is None or isinstance(self.rule, Rule) else FEW_PAIRS

    @property
    def measured(self) -> bool:
        """Whether an episode tells if it shows what is wanted."""
        return self.rule is None or (isinstance(self.rule, Rule) and self.rule.shows is not None)

    def shown(self, episode: Episode) -> bool:
        """Whether an episode shows what is wanted.

        Raises: OptionError: the rule does not say.
        """
        if self.rule is None:
            return episode.jumppad == self.name
        if not isinstance(self.rule, Rule) or self.rule.shows is None:
            raise OptionError(f"{self.name} compares, and does not tell what one trajectory shows; make it a Rule")
        return self.rule.shows(Trajectory(episode))

    def answers(
        self,
        teacher: Teacher,
        episodes: Sequence[Episode],
        first: NDArray[np.int64],
        second: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> NDArray[np.float64]:
        """What one who wants this says of pairs of episodes; see `agents.preferences.ask`.

        Args: teacher: how surely; a rule that is a plain function is always asked as it is.
        Raises: OptionError: the rule's answer is no preference, or an unsure teacher is wanted of a plain function.
        """
        if self.rule is None:
            return ask(
                teacher,
                returns([Outcome(e.jumppad, len(e)) for e in episodes], self.name, teacher.myopia),
                first,
                second,
                rng,
            )
        if teacher.myopia != 1:
            raise OptionError(f"myopia is of the rule for pads; {self.name} sees whole trajectories")
        trajectories = [Trajectory(episode) for episode in episodes]
        if isinstance(self.rule, Rule):
            there = np.union1d(first, second)
            worth = np.zeros(len(episodes))
            worth[there] = [self.rule.worth(trajectories[int(k)]) for k in there]
            return ask(teacher, worth, first, second, rng)
        if teacher != Teacher():
            raise OptionError(f"{self.name} says itself which is better; a teacher that errs needs a Rule with a worth")
        pairs = zip(first, second, strict=True)
        said = np.array([self.rule(trajectories[int(a)], trajectories[int(b)]) for a, b in pairs], np.float64)
        if ((said < 0) | (said > 1)).any():
            raise OptionError(f"{self.name} must return 1, 0, 0.5 or NaN, got {said[(said < 0) | (said > 1)][0]}")
        return said


def titles_a_pad(title: str) -> bool:
    """Whether an aim of this title is a pad, which results count in any case."""
    return title.removesuffix(" pad") in JUMPPADS and title.endswith(" pad")


def aim_of(name: str) -> Aim:
    """A pad, or a rule by its `module:function`, looked for in this folder too.

    Raises: OptionError: it is neither.
    """
    if name in JUMPPADS:
        return Aim(name, None)
    module, colon, function = name.partition(":")
    if not (colon and module and function):
        raise OptionError(
            f"what is wanted is a pad of {', '.join(JUMPPADS)} or a rule as module:function, got {name!r}"
        )
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        rule: Any = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise OptionError(
            f"there is no rule {name!r} ({error}); name an importable module and a function in it"
        ) from error
    finally:
        sys.path.remove(here)
    if not callable(rule):
        raise OptionError(f"{name} is {type(rule).__name__}, and a rule is a function of two trajectories")
    return Aim(name, cast("Compares", rule))
