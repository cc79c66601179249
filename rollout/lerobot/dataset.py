"""A dataset of recorded play in the LeRobotDataset v3.0 layout: adds episodes, and reads them back.

What info.json counts is there; it is replaced last, so an episode is in the dataset whole or not at all.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from envs.errors import ActionError, DataError
from rollout.lerobot import layout
from rollout.lerobot.film import Frame, key_frames, read_film
from rollout.lerobot.stats import Stats, stats_of, stats_of_pictures, together
from rollout.lerobot.tables import read_rows, read_tasks, write_table, write_tasks
from rollout.lerobot.track import Track

_SAMPLE: Final = 100  # pictures of an episode that statistics are made of
_SAMPLE_HEIGHT: Final = 120


@dataclass(frozen=True, slots=True)
class Episode:
    """An episode to add."""

    name: str  # no two have the same
    task: str
    track: Track


@dataclass(frozen=True, slots=True)
class Entry:
    """What the metadata say of an episode."""

    index: int
    name: str
    task: str
    length: int  # steps
    data: Path
    film: Path
    start: float  # s in the film
    end: float


class Dataset:
    """A dataset that is there.

    Raises: DataError: it is none, it is damaged, or its columns are not those of recorded play.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._info = _read_json(root / layout.INFO)
        version = self._info.get("codebase_version")
        if version != layout.VERSION:
            raise DataError(f"{root} is in the layout {version}, and {layout.VERSION} is read; convert it with LeRobot")
        self._check_features()

    @classmethod
    def open_or_create(cls, root: Path, fps: int, size: tuple[int, int]) -> Self:
        """The dataset in a folder, made where there is none. Args: size: (height, width) of its frames.

        Raises: DataError: as the class; or its frames are of another size or rate.
        """
        if not (root / layout.INFO).exists():
            _write_json(root / layout.INFO, layout.empty_info(fps, size))
        dataset = cls(root)
        if (dataset.fps, dataset.size) != (fps, size):
            raise DataError(
                f"{root} holds {dataset.fps} frames/s of {dataset.size}, got {fps} of {size}; give another folder"
            )
        return dataset

    @property
    def fps(self) -> int:
        """Frames a second."""
        return self._info["fps"]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a frame."""
        height, width, _ = self._info["features"][layout.SCREEN]["shape"]
        return height, width

    def __len__(self) -> int:
        return self._info["total_episodes"]

    def entries(self) -> list[Entry]:
        """The episodes, in order. Raises: DataError: the metadata are damaged, or lack one."""
        rows = {row["episode_index"]: row for row in self._rows() if row["episode_index"] < len(self)}
        if sorted(rows) != list(range(len(self))):
            raise DataError(
                f"{self.root} says it has {len(self)} episodes and describes {len(rows)}; bring back a copy"
            )
        return [self._entry(rows[index]) for index in sorted(rows)]

    def find(self, name: str) -> Entry | None:
        """The episode of a name, if it is there."""
        return next((entry for entry in self.entries() if entry.name == name), None)

    def track(self, entry: Entry) -> Track:
        """An episode's steps. Raises: DataError: its file is missing or damaged, or holds what is no step."""
        try:
            rows = read_rows(entry.data, ("episode_index", "observation.time", "observation.pad", "action"))
            ours = rows["episode_index"] == entry.index
            actions = rows["action"][ours]
            if not np.array_equal(actions, np.rint(actions).clip(0, 255)):
                raise DataError(f"{entry.data} has actions that are no buckets")
            return Track(rows["observation.time"][ours], rows["observation.pad"][ours], actions.astype(np.uint8))
        except ActionError as error:
            raise DataError(f"{entry.data} has an action that is none: {error}") from error

    def frames(self, entry: Entry) -> Iterator[Frame]:
        """An episode's frames, decoded one by one. Raises: DataError: the film cannot be decoded."""
        return read_film(entry.film, entry.start, entry.end)

    def append(self, episode: Episode, film: Path) -> None:
        """Add an episode. Args: film: of its frames, as many as it has steps; it is moved.

        Raises: DataError: the film cannot be decoded.
        """
        index, steps = len(self), len(episode.track)
        if not steps:
            raise DataError(f"{episode.name} has no step")
        stats = {layout.SCREEN: stats_of_pictures(key_frames(film, _SAMPLE, _SAMPLE_HEIGHT))}
        tasks = read_tasks(self.root / layout.TASKS)
        if episode.task not in tasks:
            tasks.append(episode.task)
        columns = self._columns(episode.track, index, tasks.index(episode.task))
        stats |= {name: stats_of(values) for name, values in columns.items()}
        target = layout.video_path(self.root, index)
        target.parent.mkdir(parents=True, exist_ok=True)
        film.replace(target)
        write_table(layout.data_path(self.root, index), columns)
        write_tasks(self.root / layout.TASKS, tasks)
        write_table(layout.meta_path(self.root, index), self._row(episode, index, stats))
        self._write_stats(index + 1)
        first = self._info["total_frames"]
        self._info |= {"total_episodes": index + 1, "total_frames": first + steps, "total_tasks": len(tasks)}
        self._info["splits"] = {"train": f"0:{index + 1}"}
        _write_json(self.root / layout.INFO, self._info)

    def _columns(self, track: Track, index: int, task: int) -> dict[str, NDArray[Any]]:
        steps = len(track)
        number = np.arange(steps, dtype=np.int64)
        return {
            "action": track.actions.astype(np.float32),
            "observation.pad": track.pads,
            "observation.time": track.times,
            "timestamp": (number / self.fps).astype(np.float32),  # what the layout asks for: the frame's place
            "frame_index": number,
            "episode_index": np.full(steps, index, np.int64),
            "index": number + self._info["total_frames"],
            "task_index": np.full(steps, task, np.int64),
        }

    def _row(self, episode: Episode, index: int, stats: Mapping[str, Stats]) -> dict[str, list[Any]]:
        """The metadata of an episode."""
        first, steps = self._info["total_frames"], len(episode.track)
        row: dict[str, Any] = {"episode_index": index, "tasks": [episode.task], "length": steps}
        row |= {"recording": episode.name, "dataset_from_index": first, "dataset_to_index": first + steps}
        for prefix in ("data", f"videos/{layout.SCREEN}", layout.ROWS):
            row |= {f"{prefix}/{name}": value for name, value in layout.place(index).items()}
        row |= {f"videos/{layout.SCREEN}/from_timestamp": 0.0}
        row |= {f"videos/{layout.SCREEN}/to_timestamp": steps / self.fps}
        for feature, values in stats.items():
            row |= {f"stats/{feature}/{name}": value.tolist() for name, value in values.items()}
        return {name: [value] for name, value in row.items()}

    def _write_stats(self, episodes: int) -> None:
        """Bring the dataset's statistics up to so many episodes."""
        rows = [row for row in self._rows() if row["episode_index"] < episodes]
        summary: dict[str, dict[str, Any]] = {}
        for feature in self._info["features"]:
            prefix = f"stats/{feature}/"
            parts = [{n.removeprefix(prefix): np.array(v) for n, v in r.items() if n.startswith(prefix)} for r in rows]
            summary[feature] = {name: value.tolist() for name, value in together([p for p in parts if p]).items()}
        _write_json(self.root / layout.STATS, summary)

    def _rows(self) -> Iterator[dict[str, Any]]:
        """The rows of metadata that lie there, also of an episode that did not become part of the dataset."""
        for path in sorted((self.root / layout.ROWS).glob("*/*.parquet")):
            try:
                yield from pq.read_table(path).to_pylist()
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"{path} is damaged ({error}); bring back a copy") from error

    def _entry(self, row: Mapping[str, Any]) -> Entry:
        video = f"videos/{layout.SCREEN}"
        try:
            places = [{n: row[f"{kind}/{n}"] for n in ("chunk_index", "file_index")} for kind in ("data", video)]
            data, film = self._info["data_path"], self._info["video_path"]
            return Entry(
                index=row["episode_index"],
                name=row.get("recording") or f"episode-{row['episode_index']:06d}",
                task=row["tasks"][0],
                length=row["length"],
                data=self.root / data.format(**places[0]),
                film=self.root / film.format(video_key=layout.SCREEN, **places[1]),
                start=row[f"{video}/from_timestamp"],
                end=row[f"{video}/to_timestamp"],
            )
        except (KeyError, IndexError) as error:
            raise DataError(
                f"{self.root} describes an episode without {error}; it is not in {layout.VERSION}"
            ) from error

    def _check_features(self) -> None:
        features: dict[str, Any] = self._info.get("features", {})
        ours = layout.empty_info(1, (2, 2))["features"]
        wrong = [n for n in ours if n != layout.SCREEN and features.get(n, {}).get("names") != ours[n]["names"]]
        if wrong or layout.SCREEN not in features:
            raise DataError(f"{self.root} is not recorded play: it lacks, or names otherwise, {wrong or layout.SCREEN}")


def is_dataset(folder: Path) -> bool:
    """Whether a folder is in the layout, of any version."""
    return (folder / layout.INFO).exists()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is missing or damaged ({error}); give the folder of a dataset") from error


def _write_json(path: Path, value: object) -> None:
    """In place of what is there, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.part")
    beside.write_text(json.dumps(value, indent=4), encoding="utf-8")
    beside.replace(path)
