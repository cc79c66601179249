"""Episodes and heads as messages, and back; what comes back has been checked.

`encode` and `decode` are inverses, but for embeddings that nobody reads. An episode carries a stamp: what it was asked
for by, and what played it. Nothing in a message is trusted: sizes are compared before memory is read, and a number that
is not finite is refused.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast, get_args

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray

from agents.policy import Head
from envs.backend import JUMPPADS, SPAWNS, Start
from envs.episode import Ending, Episode, Reads
from envs.errors import DataError
from envs.gamepad import COMPONENTS, SIZES
from envs.task import MAX_STEPS
from rollout.delivery.keys import Key
from rollout.wire import rollout_pb2 as wire

PROTOCOL: Final = 3  # of the messages; both sides must speak the same
MESSAGE_LIMIT: Final = 64 * 2**20  # bytes; gRPC's default of 4 MiB is less than the head of the largest policy

_ENDINGS: Final = {
    Ending.TERMINATED: wire.ENDING_TERMINATED,
    Ending.TRUNCATED: wire.ENDING_TRUNCATED,
}
_FROM_WIRE: Final = {number: ending for ending, number in _ENDINGS.items()}
_EXPONENT: Final = np.uint16(0x7C00)  # of a float16; all its bits are set in infinities and in what is not a number
_LONGEST_NAME: Final = 64  # characters; a worker's has fewer


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an episode was asked for by, and what played it."""

    key: Key
    assignment: int
    index: int  # of its seed in the assignment
    version: int  # of the head
    trunk: str  # hash of the trunk's weights
    context: str
    temperature: float
    reads: str  # by the reward model: embeddings, which are left out else, or features


def encode(episode: Episode, stamp: Stamp) -> wire.Episode:
    """An episode as a message.

    Raises: DataError: it was interrupted, or is not padded: nothing can be learnt from it.
    """
    frames = len(episode.embeddings if stamp.reads == "embeddings" else episode.features)
    if episode.ending not in _ENDINGS or frames != MAX_STEPS:
        raise DataError(f"an episode to learn from has ended and is padded, got {episode.ending.value} with {frames}")
    return wire.Episode(
        key=wire_key(stamp.key),
        assignment=stamp.assignment,
        index=stamp.index,
        version=stamp.version,
        trunk=stamp.trunk,
        context=stamp.context,
        temperature=stamp.temperature,
        reads=stamp.reads,
        seed=episode.seed,
        spawn=episode.start.spawn,
        character=episode.start.character,
        skin=episode.start.skin,
        ending=_ENDINGS[episode.ending],
        jumppad=episode.jumppad or "",
        steps=len(episode),
        width=episode.features.shape[1],
        actions=episode.actions.tobytes(),
        log_probs=_bytes(episode.log_probs, "<f4"),
        embeddings=_bytes(episode.embeddings, "<f2") if stamp.reads == "embeddings" else b"",
        features=_bytes(episode.features, "<f2"),
        positions=_bytes(episode.positions, "<f4"),
    )


def decode(message: wire.Episode) -> tuple[Episode, Stamp]:
    """The episode and the stamp in a message.

    Raises: DataError: something is missing, of the wrong size, out of range or not a finite number.
    """
    steps, width = message.steps, message.width
    if not 1 <= steps <= MAX_STEPS or not width:
        raise DataError(f"an episode has 1 to {MAX_STEPS} steps and features, got {steps} steps of width {width}")
    if message.ending not in _FROM_WIRE:
        raise DataError(f"an episode ends on a pad or by the time limit, got ending {message.ending}")
    if message.ending == wire.ENDING_TRUNCATED and steps != MAX_STEPS:
        raise DataError(f"the time limit is {MAX_STEPS} steps, got an episode truncated after {steps} steps")
    if message.jumppad not in ("", *JUMPPADS):
        raise DataError(f"the pads are {', '.join(JUMPPADS)}, got {_short(message.jumppad)}")
    spawn = message.spawn if message.HasField("spawn") else None
    if (spawn or 0) >= SPAWNS or len(message.character) > _LONGEST_NAME:
        raise DataError(f"there is no start {message.spawn}, {_short(message.character)}")
    if message.reads not in get_args(Reads):
        raise DataError(f"a reward model reads {' or '.join(get_args(Reads))}, got {_short(message.reads)}")
    if not math.isfinite(message.temperature):
        raise DataError(f"the temperature is not a finite number, got {message.temperature}")
    actions = _array("actions", message.actions, "u1", (steps, len(COMPONENTS)))
    if (actions >= np.array(SIZES)).any():
        raise DataError("an action holds a bucket index outside its component")
    log_probs = _array("log_probs", message.log_probs, "<f4", (steps,))
    if (log_probs > 0).any():
        raise DataError("a log-probability is above 0")
    episode = Episode(
        seed=message.seed,
        start=Start(spawn, message.character, message.skin),
        actions=actions,
        log_probs=log_probs,
        embeddings=_array(
            "embeddings", message.embeddings, "<f2", (MAX_STEPS * (message.reads == "embeddings"), width)
        ),
        features=_array("features", message.features, "<f2", (MAX_STEPS, width)),
        positions=_array("positions", message.positions, "<f4", (steps + 1 if message.positions else 0, 3)),
        ending=_FROM_WIRE[message.ending],
        jumppad=message.jumppad or None,
    )
    stamp = Stamp(
        read_key(message.key),
        message.assignment,
        message.index,
        message.version,
        message.trunk,
        message.context,
        message.temperature,
        message.reads,
    )
    return episode, stamp


def wire_key(key: Key) -> wire.Key:
    """A key as a message."""
    return wire.Key(worker=key.worker, incarnation=key.incarnation, sequence=key.sequence)


def read_key(message: wire.Key) -> Key:
    """The key in a message; of a name that is too long for a worker, only so much that it is too long."""
    return Key(message.worker[:_LONGEST_NAME], message.incarnation, message.sequence)


def encode_head(weights: Mapping[str, torch.Tensor]) -> list[wire.Tensor]:
    """The weights of a head as messages."""
    return [
        wire.Tensor(name=name, shape=list(tensor.shape), data=_bytes(tensor.detach().cpu().float().numpy(), "<f4"))
        for name, tensor in weights.items()
    ]


def decode_head(messages: Iterable[wire.Tensor], head: Head) -> dict[str, torch.Tensor]:
    """The weights in messages, for a head of the same shape.

    Raises: DataError: they are not the weights of such a head.
    """
    needed = {name: tuple(tensor.shape) for name, tensor in head.state_dict().items()}
    given = sorted(messages, key=lambda message: message.name)
    if [message.name for message in given] != sorted(needed):
        raise DataError(f"a head has the weights {sorted(needed)}, got {[_short(message.name) for message in given]}")
    found = {message.name: message for message in given}
    for name, shape in needed.items():
        if tuple(found[name].shape) != shape:
            raise DataError(f"{name} has shape {shape}, got {list(found[name].shape)[:8]}")
    return {name: torch.as_tensor(_array(name, found[name].data, "<f4", shape)) for name, shape in needed.items()}


def _bytes(array: NDArray[Any], dtype: DTypeLike) -> bytes:
    return np.ascontiguousarray(array, dtype).tobytes()


def _array(name: str, data: bytes, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """A copy in this machine's byte order.

    Raises: DataError: the data are of another size, or hold what is not a finite number.
    """
    needed = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if len(data) != needed:
        raise DataError(f"{name} take {needed} bytes for shape {shape}, got {len(data)}")
    array = np.frombuffer(data, dtype).reshape(shape).astype(np.dtype(dtype).newbyteorder("="))
    if array.dtype.kind == "f" and not _finite(array):
        raise DataError(f"{name} hold a number that is not finite")
    return cast("NDArray[Any]", array)


def _finite(array: NDArray[Any]) -> bool:
    """Whether all numbers are; of 16 bits by their exponents, as NumPy converts such numbers one by one."""
    if array.dtype == np.float16:
        return not ((array.view(np.uint16) & _EXPONENT) == _EXPONENT).any()
    return bool(np.isfinite(array).all())


def _short(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}...")
