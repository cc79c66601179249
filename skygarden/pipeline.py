"""The whole alignment, in order: what the paper does after pre-training, on this machine.

Imitate good runs of the task, let that agent play, compare what it did, learn a reward from the comparisons, imitate
the best, then learn online from the reward. Each stage is also a command of its own; one that was made from the same
settings is not made again, and one that was stopped goes on.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from agents.inference import ActorConfig
from agents.preferences import Teacher
from envs.errors import OptionError
from skygarden.evaluate import evaluate
from skygarden.finetune import finetune
from skygarden.online import online
from skygarden.playing import Rollouts, collect_to
from skygarden.policies import policy_path
from skygarden.presets import Preset
from skygarden.report import Stage, write_report
from skygarden.rewarding import hash_of, train_reward
from skygarden.tuning import tune

COLLECTED: Final = 1_000_000  # seeds from here on are of episodes to compare; below are evaluations'
_RECORD: Final = "stage.json"


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """What to align, and to what."""

    to: str  # the pad to prefer
    preset: Preset
    base: str = "base-4m"  # a policy that was trained on people's gameplay
    finetuned: str | None = None  # one that is fine-tuned already: that stage is left out
    rounds: int = 1  # of collecting and imitating the best
    seed: int = 0
    data: Path = Path("data/ninja")  # folder of gameplay to fine-tune on, recorded where there is too little
    device: str = "auto"
    out: Path = Path("runs/align")

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.seed < 0:
            raise OptionError(f"an alignment takes 1 or more rounds and a seed of 0 or more, got {self.rounds}")


def align(settings: Alignment) -> Path:
    """Align a policy, and write a report; returns the report's file.

    Raises: as the stages do.
    """
    preset, seed = settings.preset, settings.seed
    run = _Run(settings.out)
    base = _given(settings.base)

    sft = _given(settings.finetuned) if settings.finetuned else run.stage(
        "sft",
        [base],
        {"finetune": asdict(preset.finetune), "data": settings.data, "seed": seed},
        lambda out: finetune(preset.finetune, base.policy, preset.size, settings.data, out, seed, settings.device),
    )  # fmt: skip

    collected = run.stage("collected", [sft], {"episodes": preset.collected, "seed": seed}, _collect(sft, settings, 0))
    reward = run.stage(
        "reward",
        [collected],
        {"reward": asdict(preset.reward), "to": settings.to, "seed": seed},
        lambda out: train_reward(
            replace(preset.reward, training=replace(preset.reward.training, seed=seed)),
            collected.folder / "episodes.safetensors", settings.to, None, out, Teacher(),
        ),
    )  # fmt: skip
    rewarded = reward.folder / "reward.safetensors"

    tuned = sft
    for number in range(settings.rounds):
        if number:
            name = f"collected-{number + 1}"
            collected = run.stage(name, [tuned], {"episodes": preset.collected}, _collect(tuned, settings, number))
        player, played = tuned, collected
        tuned = run.stage(
            "tuned" if number == 0 else f"tuned-{number + 1}",
            [player, played, reward],
            {"tuning": asdict(preset.tuning), "seed": seed},
            lambda out, player=player, played=played: tune(
                preset.tuning, player.policy, played.folder / "episodes.safetensors", rewarded, out, seed
            ),
        )

    config = replace(preset.online, seed=seed)
    aligned = run.stage(
        "online",
        [tuned, sft, reward, collected],
        {"online": asdict(config)},
        lambda out: online(config, tuned.policy, sft.policy, rewarded, out, collected.folder / "episodes.safetensors"),
    )

    stages = {"base": base, "fine-tuned": sft, "preference-tuned": tuned, "aligned": aligned}
    evaluated = {
        title: run.stage(
            f"evaluation/{title}", [stage], {"episodes": preset.evaluated}, _evaluate(title, stage, settings)
        )
        for title, stage in stages.items()
    }
    report = settings.out / "report.html"
    write_report(
        report,
        settings.to,
        {title: stage.folder for title, stage in evaluated.items()},
        reward.folder,
        aligned.folder,
        run.made,
        asdict(settings),
    )
    Console().print(f"\nOpen [bold]{report}[/bold] in a browser; the aligned agent is {aligned.policy}")
    return report


def _collect(player: "_Made", settings: Alignment, number: int) -> Callable[[Path], object]:
    rollouts = Rollouts(
        policy=player.policy,
        episodes=settings.preset.collected,
        seed=COLLECTED * (1 + number) + settings.seed * settings.preset.collected,
        acting=ActorConfig(device=settings.device),
    )
    return lambda out: collect_to(rollouts, out / "episodes.safetensors")


def _evaluate(title: str, player: "_Made", settings: Alignment) -> Callable[[Path], object]:
    rollouts = Rollouts(
        policy=player.policy, episodes=settings.preset.evaluated, acting=ActorConfig(device=settings.device)
    )
    return lambda out: evaluate(rollouts, out, videos=3, title=title)


@dataclass(frozen=True, slots=True)
class _Made:
    """What a stage made, and a key that tells from what."""

    folder: Path
    policy: str  # where one was made
    key: str


def _given(policy: str) -> _Made:
    """A policy that was there before."""
    path = policy_path(policy)
    return _Made(path.parent, policy, hash_of(path))


class _Run:
    """The folder of an alignment: a folder for each stage."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self.made: list[Stage] = []

    def stage(
        self, name: str, inputs: Sequence[_Made], settings: Mapping[str, Any], make: Callable[[Path], object]
    ) -> _Made:
        """Make a stage, unless it is there; one that was made from other settings is set aside."""
        folder = self._out / name
        described = json.dumps({"settings": settings, "inputs": [made.key for made in inputs]}, default=str)
        key = hashlib.sha256(described.encode()).hexdigest()
        record = _read(folder / _RECORD)
        if record.get("key") != key:
            _set_aside(folder)
        seconds, done = (record["seconds"], record["done"]) if record.get("key") == key else (0.0, False)
        console = Console()
        if done:
            console.print(f"[bold]{name}[/bold]: made before, from the same settings")
        else:
            console.rule(f"[bold]{name}")
            _write(folder / _RECORD, {"key": key, "seconds": seconds, "done": False})
            started = time.perf_counter()
            try:
                make(folder)
                done = True
            finally:  # a stage that is stopped goes on later: its time counts
                seconds += time.perf_counter() - started
                _write(folder / _RECORD, {"key": key, "seconds": seconds, "done": done})
        self.made.append(Stage(name, seconds))
        return _Made(folder, str(folder), key)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _write(path: Path, record: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.part")
    beside.write_text(json.dumps(record), encoding="utf-8")
    beside.replace(path)


def _set_aside(folder: Path) -> None:
    """Give a folder another name, so that nothing in it is lost."""
    if folder.exists():
        number = 1
        while (aside := folder.with_name(f"{folder.name}.old-{number}")).exists():
            number += 1
        shutil.move(folder, aside)
        Console().print(f"{folder} was made from other settings; it is now {aside}")
