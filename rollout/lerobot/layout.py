"""The names and types of the LeRobotDataset v3.0 layout, and what this project's columns mean.

Each episode has a file of its own for rows, for film and for metadata, so that nothing that is there is ever written
again but two small files, which are replaced whole.
Source: lerobot 0.4.4, lerobot/datasets/lerobot_dataset.py and utils.py.
"""

from pathlib import Path
from typing import Any, Final

from envs.gamepad import COMPONENTS
from rollout.lerobot.track import PAD

VERSION: Final = "v3.0"
SCREEN: Final = "observation.images.screen"
_FILES: Final = 1000  # in a folder
_PLACE: Final = "chunk-{chunk_index:03d}/file-{file_index:03d}"
_DATA: Final = f"data/{_PLACE}.parquet"
_VIDEO: Final = f"videos/{{video_key}}/{_PLACE}.mp4"

INFO: Final = "meta/info.json"
STATS: Final = "meta/stats.json"
TASKS: Final = "meta/tasks.parquet"
ROWS: Final = "meta/episodes"


def place(episode: int) -> dict[str, int]:
    """Where the files of an episode lie."""
    return {"chunk_index": episode // _FILES, "file_index": episode % _FILES}


def data_path(root: Path, episode: int) -> Path:
    """The rows of an episode that this project wrote."""
    return root / _DATA.format(**place(episode))


def video_path(root: Path, episode: int) -> Path:
    """The film of an episode that this project wrote."""
    return root / _VIDEO.format(video_key=SCREEN, **place(episode))


def meta_path(root: Path, episode: int) -> Path:
    """The metadata of an episode that this project wrote."""
    return root / ROWS / f"{_PLACE.format(**place(episode))}.parquet"


def empty_info(fps: int, size: tuple[int, int]) -> dict[str, Any]:
    """The info.json of a dataset without episodes. Args: size: (height, width) of its frames."""
    height, width = size
    video = {
        "video.height": height, "video.width": width, "video.codec": "h264", "video.pix_fmt": "yuv420p",
        "video.is_depth_map": False, "video.fps": fps, "video.channels": 3, "has_audio": False,
    }  # fmt: skip
    names = ["height", "width", "channels"]

    def number(kind: str) -> dict[str, Any]:
        return {"dtype": kind, "shape": [1], "names": None}

    return {
        "codebase_version": VERSION,
        "robot_type": "gamepad",
        "total_episodes": 0,
        "total_frames": 0,
        "total_tasks": 0,
        "chunks_size": _FILES,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": fps,
        "splits": {},
        "data_path": _DATA,
        "video_path": _VIDEO,
        "features": {
            SCREEN: {"dtype": "video", "shape": [height, width, 3], "names": names, "info": video},
            "action": {"dtype": "float32", "shape": [len(COMPONENTS)], "names": action_names()},
            "observation.pad": {"dtype": "float32", "shape": [len(PAD)], "names": list(PAD)},
            "observation.time": number("float64"),
            "timestamp": number("float32"),
            "frame_index": number("int64"),
            "episode_index": number("int64"),
            "index": number("int64"),
            "task_index": number("int64"),
        },
    }


def action_names() -> list[str]:
    """What the components of an action are: buttons that are 0 or 1, then axes as whole buckets from 0 to 10."""
    return [f"{name} pressed" if k < 12 else f"{name} bucket" for k, name in enumerate(COMPONENTS)]
