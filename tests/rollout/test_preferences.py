"""Laws of the preference file."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.errors import DataError
from rollout.preferences import Preferences, read_preferences, write_preferences

SHA = "5" * 64


def made(count: int, seed: int = 0, **changes: Any) -> Preferences:
    """So many answers of two people."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 50, count)
    parts: dict[str, Any] = {
        "first": first,
        "second": first + rng.integers(1, 9, count),
        "preference": rng.choice(np.array([0, 0.5, 1], np.float32), count),
        "labeller": rng.choice(["ada", "grace"], count),
        "group": rng.integers(0, 9, count),
        "episodes": SHA,
    }
    return Preferences(**parts | changes)


@given(count=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_preferences_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, count: int, seed: int) -> None:
    path = tmp_path_factory.mktemp("p") / "preferences.parquet"
    written = made(count, seed)
    write_preferences(path, written)
    found = read_preferences(path, SHA)
    for name in ("first", "second", "preference", "labeller", "group"):
        assert getattr(found, name).tolist() == getattr(written, name).tolist()
    assert (len(found), found.episodes) == (count, SHA)
    assert found.preference.dtype == np.float32


def test_anyone_can_read_it(tmp_path: Path) -> None:
    write_preferences(tmp_path / "p.parquet", made(7))
    table = pq.read_table(tmp_path / "p.parquet")
    assert table.column_names == ["first", "second", "preference", "labeller", "group"]
    assert table.num_rows == 7


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"second": np.arange(3)}, "columns of one length"),
        ({"second": made(2).first}, "two different episodes"),
        ({"first": np.array([-1, 2])}, "two different episodes"),
        ({"preference": np.array([0, 1.5], np.float32)}, "lies between"),
        ({"preference": np.array([0, np.nan], np.float32)}, "lies between"),
    ],
)
def test_what_cannot_be_a_preference_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        made(2, **wrong)


def test_no_preferences_are_none() -> None:
    with pytest.raises(DataError, match="a row at least"):
        made(0)


def test_a_file_that_is_none_or_about_others_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    with pytest.raises(DataError, match="there are no preferences"):
        read_preferences(path, SHA)
    path.write_bytes(b"no parquet")
    with pytest.raises(DataError, match="damaged, or no Parquet file"):
        read_preferences(path, SHA)
    write_preferences(path, made(3))
    with pytest.raises(DataError, match="about episodes 555555555555, not about aaaaaaaaaaaa"):
        read_preferences(path, "a" * 64)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        read_preferences(path, SHA)
    pq.write_table(pa.table({"first": [1], "second": [2]}), path)
    with pytest.raises(DataError, match=r"has columns \['first', 'second'\], and"):
        read_preferences(path, SHA)


def test_a_comparison_that_nobody_made_is_none(tmp_path: Path) -> None:
    path = tmp_path / "preferences.parquet"
    columns = {
        "first": pa.array([1, 2], pa.int64()),
        "second": pa.array([3, 4], pa.int64()),
        "preference": pa.array([1, 0], pa.float32()),
        "labeller": pa.array(["ada", None], pa.string()),
        "group": pa.array([0, 1], pa.int64()),
    }
    pq.write_table(pa.table(columns).replace_schema_metadata({b"episodes": SHA.encode()}), path)
    with pytest.raises(DataError, match="empty fields"):
        read_preferences(path, SHA)
