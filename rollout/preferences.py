"""A preference file that anyone can read: Parquet, a row for every comparison of two episodes.

Columns: `first` and `second` (where the two are in the file of episodes), `preference` (1 the first is better, 0 the
second, 0.5 neither), `labeller` (who said so) and `group` (comparisons that follow from one answer share a number).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from envs.errors import DataError

_SCHEMA: Final = {
    "first": pa.int64(),
    "second": pa.int64(),
    "preference": pa.float32(),
    "labeller": pa.string(),
    "group": pa.int64(),
}
_EPISODES: Final = b"episodes"  # whose hash is kept


@dataclass(frozen=True, slots=True)
class Preferences:
    """Which of two episodes is better, as often as somebody said so.

    Raises: DataError: the columns do not fit together, or hold what cannot be.
    """

    first: NDArray[np.int64]  # (N,)
    second: NDArray[np.int64]  # (N,)
    preference: NDArray[np.float32]  # (N,) in [0, 1]
    labeller: NDArray[np.str_]  # (N,)
    group: NDArray[np.int64]  # (N,)
    episodes: str  # hash of the file that the episodes are in

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, name)) for name in _SCHEMA}
        if len(lengths) != 1 or 0 in lengths:
            raise DataError(f"preferences need columns of one length and a row at least, got {sorted(lengths)}")
        if (self.first == self.second).any() or min(self.first.min(), self.second.min()) < 0:
            raise DataError("a preference compares two different episodes, counted from 0")
        if not ((self.preference >= 0) & (self.preference <= 1)).all():
            raise DataError("a preference lies between 0, the second is better, and 1, the first is")

    def __len__(self) -> int:
        """How many there are."""
        return len(self.first)

    @property
    def furthest(self) -> int:
        """The last episode that is compared."""
        return int(max(self.first.max(), self.second.max()))


def write_preferences(path: Path, preferences: Preferences) -> None:
    """Write preferences in place of what is there."""
    columns = {name: pa.array(getattr(preferences, name).tolist(), kind) for name, kind in _SCHEMA.items()}
    table = pa.table(columns).replace_schema_metadata({_EPISODES: preferences.episodes.encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    pq.write_table(table, beside)
    beside.replace(path)


def read_preferences(path: Path, episodes: str) -> Preferences:
    """Read preferences.

    Args: episodes: hash of the file of episodes that they must be about.
    Raises: DataError: no such file, damaged, with other columns, or about other episodes.
    """
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise DataError(f"there are no preferences {path}; check the name") from error
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read ({error}): damaged, or no Parquet file") from error
    found = {field.name: field.type for field in table.schema}
    if found != _SCHEMA:
        raise DataError(f"{path} has columns {sorted(found)}, and {sorted(_SCHEMA)} are needed")
    if any(table[name].null_count for name in _SCHEMA):
        raise DataError(f"{path} has empty fields; every comparison needs {sorted(_SCHEMA)}")
    metadata = table.schema.metadata or {}
    about = metadata.get(_EPISODES, b"").decode()
    if about != episodes:
        raise DataError(
            f"{path} is about episodes {about[:12] or 'unknown'}, not about {episodes[:12]}; give that file"
        )
    return Preferences(**{name: table[name].to_numpy().copy() for name in _SCHEMA}, episodes=about)
