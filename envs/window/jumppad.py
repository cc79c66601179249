"""From which jump pad the player has just been launched, told from pixels.

A launch looks like nothing else: the pad and the ground fall out of the picture within two tenths of a second, and the
moments before show which pad it was. So the detector looks at a few very small pictures at once, of now and of up to
four frames ago, and small networks, which `jumppad_learning` trains, give each pad's chance. A pad is reported when two
frames running show a launch from it, or one beyond doubt: of two frames, a flag may hide one. Then nothing more is
reported until the next `reset`.

Nothing in here knows the game: the pads' names and all that is known of their looks come from a file.
"""

import json
import zipfile
import zlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from envs.errors import DetectorError, OptionError
from envs.window.jumppad_network import LEAST_SIDE, Network

VERSION: Final = 1
EVIDENCE_SIDE: Final = 96  # pixels, of the frames that are kept as evidence; they are looked at smaller still

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class JumpPadConfig:
    """What is looked at, and what is enough. Raises: OptionError: a setting is out of range."""

    debounce: int = 2  # frames running that must show a launch from the same pad
    threshold: float = 0.9  # the chance that each of them must give it
    certain: float | None = 0.998  # the chance with which one frame is enough; None: one never is
    side: int = 24  # pixels, of the pictures that are looked at
    ages: tuple[int, ...] = (0, 1, 2, 4)  # in frames, of the pictures that are looked at together

    def __post_init__(self) -> None:
        if self.debounce < 1:
            raise OptionError(f"debounce must be 1 frame or more, got {self.debounce}")
        if not 0.0 < self.threshold < 1.0:
            raise OptionError(f"threshold must lie between 0 and 1, got {self.threshold}")
        if self.certain is not None and not self.threshold <= self.certain < 1.0:
            raise OptionError(f"certain must lie between threshold {self.threshold} and 1, got {self.certain}")
        if not LEAST_SIDE <= self.side <= EVIDENCE_SIDE:
            raise OptionError(f"side must be {LEAST_SIDE} to {EVIDENCE_SIDE} pixels, got {self.side}")
        if not self.ages or self.ages[0] != 0 or list(self.ages) != sorted(set(self.ages)):
            raise OptionError(f"ages must rise from 0, which is now, got {self.ages}")


@dataclass(frozen=True, slots=True)
class Detection:
    """A launch."""

    pad: str
    confidence: float  # in [0, 1]: the mean chance that the frames gave this pad
    frame: int  # index, since the reset, of the frame in which it was first seen, which may be before it was sure
    evidence: tuple[Pixels, ...]  # (96, 96, 3) each: the frames that were looked at, oldest first


class JumpPadDetector:
    """Tells launches, frame by frame.

    `names` are the pads', `config` what it was made with, `about` how it was learnt. The networks vote: what one takes
    for a launch by mistake, the others seldom do. Raises: DetectorError: the parts do not fit together.
    """

    def __init__(
        self,
        names: Iterable[str],
        networks: Sequence[Network],
        config: JumpPadConfig,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.names = tuple(names)
        self.config = config
        self.about = dict(about or {})
        self._networks = tuple(networks)
        shape = config.side, 3 * len(config.ages), len(self.names) + 1
        if not self.names or not self._networks or not all(network.fits(*shape) for network in self._networks):
            raise DetectorError(f"networks that tell {self.names} from {config} are needed, and others came")
        self.reset()

    def reset(self) -> None:
        """Forget all frames: the next one begins an episode."""
        self._count = 0  # of frames
        self._evidence: deque[Pixels] = deque(maxlen=self.config.ages[-1] + self.config.debounce)
        self._small: deque[NDArray[np.float32]] = deque(maxlen=self.config.ages[-1] + 1)
        self._likely: str = ""  # the pad that the last frames showed
        self._chances: list[float] = []  # that they gave it, one after another
        self._reported = False

    def update(self, pixels: Pixels) -> Detection | None:
        """Look at the next frame, (H, W, 3) uint8 of any size; the launch, in the frame that makes it sure.

        Raises: DetectorError: it is no such picture.
        """
        picture = evidence_of(pixels)
        self._evidence.append(picture)
        self._small.append(shrink(picture, self.config.side) * np.float32(1 / 255) - np.float32(0.5))
        self._count += 1
        if self._reported:
            return None
        newest = len(self._small) - 1
        stack = np.concatenate([self._small[max(0, newest - age)] for age in self.config.ages], axis=2)[None]
        chances = sum(network.chances(stack)[0, 1:] for network in self._networks) / len(self._networks)
        return self._judge(np.asarray(chances))

    def _judge(self, chances: NDArray[np.float32]) -> Detection | None:
        """Debounce."""
        best = int(chances.argmax())
        chance = float(chances[best])
        pad = self.names[best] if chance >= self.config.threshold else ""
        if pad != self._likely:
            self._likely, self._chances = pad, []
        if not pad:
            return None
        self._chances.append(chance)
        certain = self.config.certain is not None and chance >= self.config.certain
        if len(self._chances) < self.config.debounce and not certain:
            return None
        self._reported = True
        confidence = min(1.0, sum(self._chances) / len(self._chances))
        return Detection(pad, confidence, self._count - len(self._chances), tuple(self._evidence))

    def save(self, path: Path) -> None:
        """Write a file in place of what is there: beside it, then renamed. It holds no pickle."""
        header = {"names": self.names, "config": asdict(self.config), "about": self.about}
        arrays: dict[str, Any] = {
            f.name: np.array([getattr(n, f.name) for n in self._networks]) for f in fields(Network)
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.part")
        with beside.open("wb") as file:
            np.savez_compressed(file, version=VERSION, header=json.dumps(header), **arrays)
        beside.replace(path)

    @classmethod
    def load(cls, path: Path, *, debounce: int | None = None, threshold: float | None = None) -> Self:
        """Read a detector. Args: debounce, threshold: in place of those that it was saved with.

        Raises: DetectorError: the file is missing, damaged or of another version. OptionError: as JumpPadConfig.
        """
        content = _read(path)
        try:
            header: dict[str, Any] = json.loads(str(content["header"]))
            settings: dict[str, Any] = {**header["config"], "ages": tuple(header["config"]["ages"])}
            config = JumpPadConfig(**settings)
            parts = zip(*(content[f.name] for f in fields(Network)), strict=True)
            detector = cls(header["names"], [Network(*part) for part in parts], config, header["about"])
        except (KeyError, TypeError, ValueError) as error:
            raise DetectorError(f"{path} is no jump-pad detector of this program ({error}); learn it anew") from error
        config = replace(
            config,
            debounce=config.debounce if debounce is None else debounce,
            threshold=config.threshold if threshold is None else threshold,
        )
        return cls(detector.names, detector._networks, config, detector.about)


def detect_in(detector: JumpPadDetector, frames: Iterable[Pixels]) -> Detection | None:
    """The first launch in a recording, from its first frame on."""
    detector.reset()
    return next((found for pixels in frames if (found := detector.update(pixels)) is not None), None)


def evidence_of(pixels: Pixels) -> Pixels:
    """A frame of any size as it is kept, (96, 96, 3), each pixel the mean of what it covers.

    Raises: DetectorError: it is no picture, (H, W, 3) uint8.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise DetectorError(f"a frame must be (height, width, 3) uint8, got {pixels.shape} {pixels.dtype}")
    return shrink(pixels, EVIDENCE_SIDE)


def shrink(pixels: Pixels, side: int) -> Pixels:
    """A picture as (side, side, 3), its own memory."""
    if pixels.shape[:2] == (side, side):
        return pixels.copy()
    return np.asarray(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file. Raises: DetectorError: missing, damaged, or of another version."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            content: dict[str, NDArray[Any]] = {name: stored[name] for name in stored.files}
    except FileNotFoundError as error:
        raise DetectorError(f"there is no jump-pad detector {path}; make one with: skygarden calibrate") from error
    except (OSError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise DetectorError(f"{path} is damaged or no jump-pad detector ({error}); learn it anew") from error
    version = content.pop("version", None)
    if version is None or str(version) != str(VERSION):
        raise DetectorError(f"{path} is of version {version}, this program reads {VERSION}; learn it anew")
    return content
