"""What came of one episode that was asked for: it was played, or it will not come."""

from dataclasses import dataclass

from google.protobuf.message import DecodeError

from envs.episode import Episode
from envs.errors import CheckpointError, DataError
from rollout.codec import Stamp, decode, read_key, wire_key
from rollout.delivery.keys import Key
from rollout.wire import rollout_pb2 as wire


@dataclass(frozen=True, slots=True)
class Played:
    """An episode, and what it was asked for by and what played it."""

    episode: Episode
    stamp: Stamp

    @property
    def key(self) -> Key:
        """What no other report has."""
        return self.stamp.key

    @property
    def assignment(self) -> int:
        """That it belongs to."""
        return self.stamp.assignment

    @property
    def index(self) -> int:
        """Of its seed in the assignment."""
        return self.stamp.index


@dataclass(frozen=True, slots=True)
class Dropped:
    """An episode that could not be played to its end: nothing follows from it, and its batch is smaller."""

    key: Key | None  # none where the learner itself gave it up
    assignment: int
    index: int
    reason: str

    def __str__(self) -> str:
        return f"episode {self.index} of assignment {self.assignment} is dropped: {self.reason}"


Report = Played | Dropped


@dataclass(slots=True)
class Counts:
    """Reports since the desk was opened."""

    accepted: int = 0
    repeated: int = 0
    refused: int = 0
    dropped: int = 0
    recovered: int = 0  # from the journal


def read_report(message: wire.FromWorker) -> Report:
    """The report in a message.

    Raises: DataError: there is none, or not a good one; see `rollout.codec.decode`.
    """
    if message.WhichOneof("message") == "episode":
        return Played(*decode(message.episode))
    if message.WhichOneof("message") == "dropped":
        dropped = message.dropped
        key = read_key(dropped.key) if dropped.HasField("key") else None
        return Dropped(key, dropped.assignment, dropped.index, dropped.reason[:200])
    raise DataError(f"a report is an episode or a dropped one, got {message.WhichOneof('message')}")


def recall_report(data: bytes) -> Report:
    """The report that the journal kept.

    Raises: CheckpointError: there is none in it.
    """
    try:
        return read_report(wire.FromWorker.FromString(data))
    except (DecodeError, DataError) as error:
        raise CheckpointError(f"the journal holds what is no report: {error}; it was made by other code") from error


def written(dropped: Dropped) -> bytes:
    """A dropped episode as the journal keeps it."""
    key = wire_key(dropped.key) if dropped.key else None
    message = wire.Dropped(key=key, assignment=dropped.assignment, index=dropped.index, reason=dropped.reason)
    return wire.FromWorker(dropped=message).SerializeToString()
