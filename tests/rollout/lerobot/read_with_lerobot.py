"""Run in the environment that has LeRobot: reads a dataset with it and writes what it was given to an .npz file.

Usage: read_with_lerobot.py DATASET OUT
"""

import sys
from importlib import import_module

import numpy as np
import torch


def main() -> None:
    # The build of torchvision on PyPI needs CUDA's libraries for its detection kernels. Reading a dataset calls none of
    # them, but without them the import misses the name of this one.
    detection = torch.library.Library("torchvision", "DEF")
    detection.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    lerobot = import_module("lerobot.datasets.lerobot_dataset")
    root, out = sys.argv[1:]
    dataset = lerobot.LeRobotDataset("local/play", root=root, video_backend="pyav", tolerance_s=1e-3)
    items = [dataset[index] for index in range(len(dataset))]
    names = [name for name in items[0] if name not in {"task", "observation.images.screen"}]
    columns = {name: np.stack([item[name].numpy() for item in items]) for name in names}
    frames = np.stack([(item["observation.images.screen"].permute(1, 2, 0) * 255).round().byte() for item in items])
    second = lerobot.LeRobotDataset(
        "local/play",
        root=root,
        episodes=[1],
        video_backend="pyav",
        delta_timestamps={"action": [0.0, 0.1, 0.2], "observation.images.screen": [-0.1, 0.0]},
    )
    np.savez(
        out,
        allow_pickle=False,
        frames=frames,
        tasks=np.array([item["task"] for item in items]),
        lengths=np.array([episode["length"] for episode in dataset.meta.episodes]),
        action_names=np.array(dataset.meta.features["action"]["names"]),
        mean=dataset.meta.stats["action"]["mean"],
        window=second[5]["action"].numpy(),
        window_frames=second[5]["observation.images.screen"].numpy(),
        second_length=len(second),
        **columns,
    )


if __name__ == "__main__":
    main()
