"""The base policy: imitation of many people at play, all characters, nothing filtered."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from agents.data import Joined, Sequences
from agents.parameters import compute_device
from envs.errors import DataError
from envs.standin.gameplay import list_replays
from rollout.lerobot.dataset import Dataset, is_dataset
from rollout.lerobot.decoded import decode, list_decoded
from rollout.lerobot.faults import CheckConfig
from rollout.recordings import RecordedSequences, list_recordings
from rollout.replays import ReplaySequences, load_replays, whole
from skygarden.gameplay import record
from skygarden.policies import starting_policy
from skygarden.presets import Pretrain, loader
from skygarden.training import draw_held_out, run_training


@dataclass(frozen=True, slots=True)
class Source:
    """A folder of play."""

    paths: Sequence[Path]  # its files
    read: Callable[[Sequence[Path]], Sequences]  # some of them

    def held(self, share: float) -> int:
        """How many files to hold out, from the first on; none of a folder that would have none left to learn from."""
        files = max(1, round(share * len(self.paths)))
        return files if files < len(self.paths) else 0


def pretrain(stage: Pretrain, base: str, size: str, data: Sequence[Path], out: Path, seed: int, device: str) -> Path:
    """Train a policy on people at play.

    Args: base: what to start from, a policy's name, or "scratch" for one of `size` with random weights.
      data: folders, each of recordings, a dataset of recorded play, or of gameplay, which is recorded where there is
      too little of it. out: folder of the run; one that was stopped there goes on.
    Returns: the policy's file.
    """
    console = Console()
    where = compute_device(device)
    policy = starting_policy(base, size, seed).to(where)
    context = policy.config.context
    sources = [_open(folder, stage.hours, context, console) for folder in data]
    held = [source.held(stage.held_out) for source in sources]
    names = ", ".join(str(folder) for folder in data)
    files = sum(len(source.paths) for source in sources)
    if not any(held):
        raise DataError(f"{names} holds {files} files of play: too few to hold one out; add more")
    held_out = Joined([s.read(s.paths[:count]) for s, count in zip(sources, held, strict=True) if count])
    learnt = Joined([s.read(s.paths[count:]) for s, count in zip(sources, held, strict=True)])
    loss = run_training(
        policy,
        learnt,
        draw_held_out(held_out, stage.held_out_windows, context),
        loader(stage.training, stage.augment, context, seed),
        stage.training,
        out,
        {"stage": "pretrain", "base": base},
        {"settings": asdict(stage), "data": names, "files": files - sum(held)},
    )
    path = out / "policy.safetensors"
    console.print(f"{path}: held-out loss {loss.component:.4f} nats a component")
    return path


def _open(folder: Path, hours: float, shortest: int, console: Console) -> Source:
    """A folder's files, and how to read them. Args: shortest: steps that a recorded episode must have."""
    if is_dataset(folder):
        return Source(_decoded(Dataset(folder), CheckConfig(shortest=shortest), console), RecordedSequences)
    recordings = list_recordings(folder)
    if recordings:
        return Source(recordings, RecordedSequences)
    record(folder, hours, seed=0)
    return Source(list_replays(folder), lambda paths: ReplaySequences(whole(load_replays(paths))))


def _decoded(dataset: Dataset, config: CheckConfig, console: Console) -> list[Path]:
    """The good episodes of a dataset; those that are left out are named.

    Raises: DataError: none is good.
    """
    episodes = list(track(decode(dataset, config), "decoding recordings", total=len(dataset)))
    for episode in episodes:
        if episode.faults:
            reasons = "; ".join(episode.faults)
            console.print(f"left out {episode.entry.name}: {reasons}", style="yellow", soft_wrap=True)
    good = [episode.entry.name for episode in episodes if not episode.faults]
    if not good:
        raise DataError(f"none of the {len(dataset)} episodes in {dataset.root} can be learnt from; see above why")
    return list_decoded(dataset, good)
