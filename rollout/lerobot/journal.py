"""The journal of an episode: a header, then one record of fixed size a step, each with a checksum.

It is written without a buffer, so what was appended survives the death of the process; the torn end of one is left out
when it is read.
"""

import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from envs.errors import DataError
from envs.gamepad import COMPONENTS
from rollout.lerobot.track import PAD, Step, Track

_RECORD: Final = np.dtype(
    [("number", "<u4"), ("time", "<f8"), ("pad", "<f4", len(PAD)), ("action", "u1", len(COMPONENTS)), ("sum", "<u4")]
)
_PLAIN: Final = _RECORD.itemsize - 4  # bytes that the checksum is of
_VERSION: Final = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What is known when an episode begins."""

    name: str  # no two episodes have the same
    task: str  # what the person was asked to do
    fps: int
    height: int  # pixels of a frame
    width: int


def encode_step(number: int, step: Step) -> bytes:
    """The record of a step."""
    record = np.zeros((), _RECORD)
    record["number"], record["time"], record["pad"], record["action"] = number, step.time, step.pad, step.action
    plain = record.tobytes()[:_PLAIN]
    return plain + zlib.crc32(plain).to_bytes(4, "little")


def decode_steps(data: bytes) -> Track:
    """The steps of as many records as are whole and in order; the inverse of `encode_step`, one after the other."""
    whole = len(data) // _RECORD.itemsize
    records: Any = np.frombuffer(data, _RECORD, whole)
    good = 0
    while good < whole:
        plain = data[good * _RECORD.itemsize :][:_PLAIN]
        if records["sum"][good] != zlib.crc32(plain) or records["number"][good] != good:
            break
        good += 1
    records = records[:good]
    return Track(records["time"].copy(), records["pad"].copy(), records["action"].copy())


class Journal:
    """A journal that is being written; a context manager."""

    def __init__(self, path: Path, header: Header) -> None:
        self._file = path.open("xb", buffering=0)
        self._steps = 0
        self._file.write(json.dumps(asdict(header) | {"version": _VERSION}).encode() + b"\n")

    def append(self, step: Step) -> None:
        """Add a step; it is with the system when this returns."""
        self._file.write(encode_step(self._steps, step))
        self._steps += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


def read_journal(path: Path) -> tuple[Header, Track]:
    """What a journal holds, of which the writer may have died.

    Raises: DataError: it has no whole header, or is of another version.
    """
    line, _, data = path.read_bytes().partition(b"\n")
    try:
        fields: dict[str, Any] = json.loads(line)
        if fields.pop("version") != _VERSION:
            raise DataError(f"{path} is of another version than {_VERSION}; finish it with the version that wrote it")
        header = Header(**fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{path} has no whole header ({error}): nothing was recorded in it; remove its folder"
        ) from error
    return header, decode_steps(data)
