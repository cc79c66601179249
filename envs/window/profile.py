"""A game's profile: the facts about a game that its window does not tell.

A profile is a TOML file, with pictures beside it. Places are shares of the window's client area, from its left and top
edge, so that a window of another size needs no other profile.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Final, cast

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from envs.backend import SPAWNS, Start
from envs.errors import ProfileError
from envs.window.pad import HELD, PadConfig

PROFILES: Final = Path(__file__).parent / "profiles"
_STRICT: Final = ConfigDict(extra="forbid")
_VARIABLES: Final = frozenset({"character", "skin", "spawn"})

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(gt=0.0)]
Region = tuple[Share, Share, Share, Share]  # left, top, width, height
WHOLE: Final[Region] = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class WindowProfile:
    """Which window is the game's, and how the game is started where it is not there."""

    __pydantic_config__ = _STRICT
    title: str | None = None  # a regular expression that the title matches somewhere
    process: str | None = None  # the name of the game's program
    launch: tuple[str, ...] = ()  # the command that starts the game; empty: somebody else does
    patience: Seconds = 20.0  # to wait for the window


@dataclass(frozen=True, kw_only=True)
class CaptureProfile:
    """What of the window the agent sees."""

    __pydantic_config__ = _STRICT
    grabber: str = "mss"  # or "dxcam", or one of your own as module:function
    region: Region = WHOLE
    square: bool = False  # whether only the square in the middle of the region is seen


@dataclass(frozen=True, kw_only=True)
class TimingProfile:
    """What is still the game as it should be, and what interrupts an episode."""

    __pydantic_config__ = _STRICT
    frozen: Seconds = 3.0  # without a change of any pixel of the client area
    black: Seconds = 1.0  # of nothing but black
    latency: Seconds | None = None  # from a push to the frame that shows it, as measured; it changes nothing


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a part of the window looks like: a picture, whose name may hold {character}, {skin} or {spawn}."""

    __pydantic_config__ = _STRICT
    region: Region
    image: str
    tolerance: Annotated[float, Field(gt=0.0, lt=255.0)] = 12.0  # mean difference of a colour value


@dataclass(frozen=True, kw_only=True)
class MacroStep:
    """Press a button, again and again, until the window looks as it should."""

    __pydantic_config__ = _STRICT
    until: str  # one of the looks
    press: str | None = None  # a button; None: only wait
    every: Seconds = 0.5  # between two presses
    again: Annotated[float, Field(ge=0.0)] = 0.0  # s from a press that has changed nothing yet, if more than `every`
    timeout: Seconds = 10.0


@dataclass(frozen=True, kw_only=True)
class ResetProfile:
    """How to get from anywhere in the game to the start of an episode."""

    __pydantic_config__ = _STRICT
    steps: tuple[MacroStep, ...] = ()
    attempts: Annotated[int, Field(ge=1)] = 3  # from the first step on
    hold: Seconds = 0.08  # that a button is pressed


@dataclass(frozen=True, kw_only=True)
class CastProfile:
    """Whom the game lets one play."""

    __pydantic_config__ = _STRICT
    characters: Annotated[tuple[str, ...], Field(min_length=1)] = ("player",)
    skins: Annotated[int, Field(ge=1)] = 1


@dataclass(frozen=True, kw_only=True)
class JumpPadProfile:
    """How a launch from a jump pad is told from pixels; see `envs.window.jumppad`."""

    __pydantic_config__ = _STRICT
    detector: str | None = None  # a file beside the profile, as `skygarden calibrate` learns it; None: no pad is seen


@dataclass(frozen=True, kw_only=True)
class Profile:
    """All that is known of a game."""

    __pydantic_config__ = _STRICT
    name: str
    window: WindowProfile
    capture: CaptureProfile = field(default_factory=CaptureProfile)
    timing: TimingProfile = field(default_factory=TimingProfile)
    pad: PadConfig = field(default_factory=PadConfig)
    cast: CastProfile = field(default_factory=CastProfile)
    looks: Mapping[str, Look] = field(default_factory=dict[str, Look])
    reset: ResetProfile = field(default_factory=ResetProfile)
    jumppads: JumpPadProfile = field(default_factory=JumpPadProfile)

    @property
    def chooses_spawn(self) -> bool:
        """Whether resets decide where an episode begins, or the game does."""
        used = {look.image for step in self.reset.steps for name, look in self.looks.items() if name == step.until}
        return any("spawn" in _variables(image) for image in used)

    def image(self, look: str, start: Start) -> Path:
        """The picture of a look for a start."""
        return Path(self.looks[look].image.format(**variables_of(start)))

    @property
    def detector(self) -> Path | None:
        """The file of the jump pads' detector."""
        return None if self.jumppads.detector is None else Path(self.jumppads.detector)


def variables_of(start: Start) -> dict[str, str]:
    """What a start is called in the names of pictures."""
    return {"character": start.character, "skin": str(start.skin), "spawn": str(start.spawn)}


def load_profile(name: str | Path) -> Profile:
    """The profile in a file, or the one of a name that comes with Skygarden.

    Raises: ProfileError: there is none, or something in it is wrong or missing.
    """
    path = _path_of(name)
    content = _read(path, ())
    try:
        profile = TypeAdapter(Profile).validate_python({"name": path.stem, **content})
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}, got {e['input']!r}" for e in error.errors())
        raise ProfileError(f"{path}: {wrong}") from error
    _check(profile, path)
    return profile


def _path_of(name: str | Path) -> Path:
    path = Path(name)
    if path.suffix == ".toml":
        return path
    inside = PROFILES / str(name) / "profile.toml"
    if not inside.exists():
        there = ", ".join(sorted(found.parent.name for found in PROFILES.glob("*/profile.toml")))
        raise ProfileError(f"there is no profile {str(name)!r}; name a .toml file, or one of {there}")
    return inside


def _read(path: Path, below: tuple[Path, ...]) -> dict[str, Any]:
    """What a file says, above what the profile says that it extends; files that it names are made absolute.

    Args: below: the files that extend this one.
    """
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ProfileError(f"there is no profile {path}; `skygarden calibrate` writes one") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProfileError(f"{path} cannot be read as TOML: {error}") from error
    _root_files(content, path.parent.resolve())
    extended = content.pop("extends", None)
    if extended is None:
        return content
    base = path.parent / extended if str(extended).endswith(".toml") else _path_of(str(extended))
    if base.resolve() in {file.resolve() for file in (*below, path)}:
        raise ProfileError(f"{path} extends {base}, which extends it")
    return _merged(_read(base, (*below, path)), content)


def _merged(base: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged, anything else is replaced."""
    both = {name: (base[name], value) for name, value in above.items() if name in base}
    tables = {name: _merged(*pair) for name, pair in both.items() if all(isinstance(each, dict) for each in pair)}
    return {**base, **above, **tables}


def _root_files(content: Mapping[str, Any], folder: Path) -> None:
    """Files lie beside the profile that names them."""
    beside = str(folder).replace("{", "{{").replace("}", "}}")
    for look in _tables(content, "looks"):
        if isinstance(look.get("image"), str):
            look["image"] = f"{beside}/{look['image']}"
    for jumppads in _tables({"jumppads": content}, "jumppads"):
        if isinstance(jumppads.get("detector"), str):
            jumppads["detector"] = str(folder / jumppads["detector"])


def _tables(content: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The tables in a table, where it is there and they are."""
    inside = content.get(name)
    values = list(cast("dict[str, Any]", inside).values()) if isinstance(inside, dict) else []
    return [cast("dict[str, Any]", value) for value in values if isinstance(value, dict)]


def _check(profile: Profile, path: Path) -> None:
    """Raise ProfileError where parts of a profile do not fit together."""
    window = profile.window
    if window.title is None and window.process is None:
        raise ProfileError(f"{path}: window: say the game's window by title or process")
    try:
        re.compile(window.title or "")
    except re.error as error:
        raise ProfileError(f"{path}: window.title is no regular expression: {error}") from error
    for name, (left, top, width, height) in _regions(profile):
        if left + width > 1.0 + 1e-9 or top + height > 1.0 + 1e-9 or min(width, height) <= 0.0:
            raise ProfileError(
                f"{path}: {name}: left, top, width, height in the window, got {left, top, width, height}"
            )
    for number, step in enumerate(profile.reset.steps, 1):
        if step.until not in profile.looks:
            raise ProfileError(f"{path}: reset step {number} waits for an unknown look {step.until!r}")
        if step.press is not None and step.press not in HELD:
            raise ProfileError(f"{path}: reset step {number} presses {step.press!r}; there are {', '.join(HELD)}")
    for name, look in profile.looks.items():
        unknown = _variables(look.image) - _VARIABLES
        if unknown:
            raise ProfileError(f"{path}: looks.{name}.image: unknown {sorted(unknown)}; there are {sorted(_VARIABLES)}")
    missing = sorted({str(file) for file in _files(profile) if not file.exists()})
    if missing:
        raise ProfileError(f"{path} names files that are not there: {', '.join(missing)}")


def _regions(profile: Profile) -> list[tuple[str, Region]]:
    looks = [(f"looks.{name}.region", look.region) for name, look in profile.looks.items()]
    return [("capture.region", profile.capture.region), *looks]


def _files(profile: Profile) -> list[Path]:
    """All files that a profile may come to read."""
    cast = profile.cast
    starts = [Start(*each) for each in product(range(SPAWNS), cast.characters, range(cast.skins))]
    images = [profile.image(name, start) for name in profile.looks for start in starts]
    return images if profile.detector is None else [*images, profile.detector]


def _variables(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}
