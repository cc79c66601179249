"""Parquet files as LeRobot's readers want them; each is there whole or not at all."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from envs.errors import DataError

_INDEX: Final = "__index_level_0__"  # what pandas calls the names of rows


def write_table(path: Path, columns: Mapping[str, NDArray[Any] | list[Any]]) -> None:
    """Write columns; one of vectors, (T, n), becomes one of lists of a fixed size."""
    _write(path, pa.table({name: _column(values) for name, values in columns.items()}))


def write_tasks(path: Path, tasks: Sequence[str]) -> None:
    """Write the tasks as pandas would: a table of numbers whose rows have the tasks as names."""
    kinds = {"task_index": ("int64", "int64"), _INDEX: ("unicode", "object")}
    about = [
        {"name": None if name == _INDEX else name, "field_name": name, "pandas_type": kind, "numpy_type": numpy}
        | {"metadata": None}
        for name, (kind, numpy) in kinds.items()
    ]
    pandas = {"index_columns": [_INDEX], "column_indexes": [], "columns": about, "pandas_version": "2.0.0"}
    columns = {"task_index": pa.array(range(len(tasks)), pa.int64()), _INDEX: pa.array(tasks, pa.string())}
    _write(path, pa.table(columns).replace_schema_metadata({b"pandas": json.dumps(pandas).encode()}))


def read_tasks(path: Path) -> list[str]:
    """The tasks in the order of their numbers; none where there is no file. Raises: DataError: it is damaged."""
    if not path.exists():
        return []
    try:
        rows = sorted(pq.read_table(path).to_pylist(), key=lambda row: row["task_index"])
        return [next(str(value) for name, value in row.items() if name != "task_index") for row in rows]
    except (pa.ArrowException, OSError, KeyError, StopIteration) as error:
        raise DataError(f"{path} is damaged ({error}); bring back a copy") from error


def read_rows(path: Path, columns: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Columns of numbers, (T,) or (T, n). Raises: DataError: the file is missing, damaged or lacks one."""
    try:
        table = pq.read_table(path)
        return {name: _numbers(table[name].to_numpy()) for name in columns}
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise DataError(
            f"{path} is missing, damaged or no rows of recorded play ({error}); bring back a copy"
        ) from error


def _column(values: NDArray[Any] | list[Any]) -> object:
    if isinstance(values, list):
        return pa.array(values)
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def _numbers(column: NDArray[Any]) -> NDArray[Any]:
    return np.stack(column.tolist()) if column.dtype == object else column


def _write(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.part")
    pq.write_table(table, beside)
    beside.replace(path)
