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
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from agents.inference import ActorConfig
from agents.preferences import Teacher
from envs.errors import DataError, OptionError
from rollout.environments import EnvConfig
from skygarden.aims import aim_of
from skygarden.evaluate import evaluate
from skygarden.files import write_text
from skygarden.finetune import finetune
from skygarden.online import online
from skygarden.playing import Rollouts, collect_to
from skygarden.policies import policy_path
from skygarden.presets import THROUGH_A_WINDOW, Preset
from skygarden.report import Stage, write_report
from skygarden.rewarding import Source, hash_of, train_reward
from skygarden.tuning import tune
from skygarden.workplace import Here, Workplace

COLLECTED: Final = 1_000_000  # seeds from here on are of episodes to compare; below are evaluations'
EPISODES: Final = "episodes.safetensors"
REWARD: Final = "reward.safetensors"
_RECORD: Final = "stage.json"
_MOST_ROUNDS: Final = 9  # learning online begins ten times beyond the first seed of collecting
_LATER: Final = 1000  # between the seeds of one round of learning online and the next


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """What to align, and to what: to a pad or a rule, or to what a person answers."""

    to: str | None  # a pad, or a rule as module:function; beside answers it is only what their success is measured by
    answers: Path | None = None  # a file of a person's answers or preferences about the episodes
    preset: Preset
    base: str = "base-4m"  # a policy that was trained on people's gameplay
    finetuned: str | None = None  # one that is fine-tuned already: that stage is left out
    episodes: Path | None = None  # what it played already: not collected again
    rounds: int = 1  # of collecting and imitating the best; with answers, of going back to the designer
    seed: int = 0
    data: Path = Path("data/ninja")  # folder of gameplay to fine-tune on, recorded where there is too little
    device: str = "auto"
    env: EnvConfig = field(default_factory=EnvConfig)
    workplace: Workplace = field(default_factory=Here)  # of those who play online
    out: Path = Path("runs/align")

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.seed < 0:
            raise OptionError(f"an alignment takes 1 or more rounds and a seed of 0 or more, got {self.rounds}")
        if self.rounds > _MOST_ROUNDS or (self.seed + 1) * self.preset.collected > COLLECTED:
            most = COLLECTED // self.preset.collected - 1
            raise OptionError(
                f"an alignment takes up to {_MOST_ROUNDS} rounds and seeds up to {most}, so that no stage starts where "
                f"another did, got {self.rounds} and {self.seed}"
            )
        if self.to is None and self.answers is None:
            raise OptionError("say what to align to: --to PAD, --teacher MODULE:FUNCTION or --preferences FILE")
        if self.episodes is not None and self.finetuned is None:
            raise OptionError("episodes that were played already need the policy that played them: --finetuned POLICY")

    @property
    def title(self) -> str:
        """What to call it."""
        return aim_of(self.to).title if self.to else "what was preferred"


def align(settings: Alignment) -> Path:
    """Align a policy, and write a report; returns the report's file.

    Raises: DataError: a person's answers are needed to go on; it says of what. Others: as the stages do.
    """
    stages = _Stages(settings)
    base = _given(settings.base)
    sft = _given(settings.finetuned) if settings.finetuned else stages.finetune(base)
    compared = [stages.collect(sft, 0)]
    reward, tuned, aligned = _learn(stages, sft, compared)
    for number in range(1, settings.rounds if settings.answers else 1):
        compared.append(stages.collect(aligned, number))
        reward, tuned, aligned = _learn(stages, sft, compared)
    agents = {"base": base, "fine-tuned": sft, "preference-tuned": tuned, "aligned": aligned}
    evaluated = {title: stages.evaluate(title, agent).folder for title, agent in agents.items()}
    report = settings.out / "report.html"
    write_report(report, settings.title, evaluated, reward.folder, aligned.folder, stages.run.made, asdict(settings))
    Console().print(f"\nOpen [bold]{report}[/bold] in a browser; the aligned agent is {aligned.policy}")
    return report


def _learn(stages: "_Stages", sft: "_Made", compared: "Sequence[_Made]") -> "tuple[_Made, _Made, _Made]":
    """A reward from all that was compared, the agent that imitates the best, and the one that then learnt online.

    Always from the fine-tuned agent: one that has learnt to exploit a reward no longer tries what is right.
    """
    number = len(compared) - 1
    reward = stages.reward(compared)
    played = compared[0]
    tuned = stages.tune(sft, played, reward, number)
    for again in range(1, stages.imitations):
        played = stages.collect(tuned, again)
        tuned = stages.tune(tuned, played, reward, again)
    return reward, tuned, stages.online(tuned, sft, played, reward, number)


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
            write_text(folder / _RECORD, json.dumps({"key": key, "seconds": seconds, "done": False}))
            started = time.perf_counter()
            try:
                make(folder)
                done = True
            finally:  # a stage that is stopped goes on later: its time counts
                seconds += time.perf_counter() - started
                write_text(folder / _RECORD, json.dumps({"key": key, "seconds": seconds, "done": done}))
        self.made.append(Stage(name, seconds))
        return _Made(folder, str(folder), key)


class _Stages:
    """The stages of an alignment, each made from what those before it made."""

    def __init__(self, settings: Alignment) -> None:
        self._settings, self._preset, self._seed = settings, settings.preset, settings.seed
        self.run = _Run(settings.out)

    @property
    def imitations(self) -> int:
        """How often to play and imitate the best: a rule can score new episodes without anybody's help."""
        return 1 if self._settings.answers else self._settings.rounds

    @property
    def _where(self) -> dict[str, str]:
        """What tells episodes of a window from the stand-in's."""
        env = self._settings.env
        return {} if env.redrawn else {"game": env.profile}

    def finetune(self, base: _Made) -> _Made:
        """Imitate good runs of the task."""
        stage, given = self._preset.finetune, self._settings
        if not given.env.redrawn:
            stage = replace(stage, sights=THROUGH_A_WINDOW)
        identity = {"finetune": asdict(stage), "data": given.data, "seed": self._seed}
        return self.run.stage(
            "sft",
            [base],
            identity,
            lambda out: finetune(stage, base.policy, self._preset.size, given.data, out, self._seed, given.device),
        )

    def collect(self, player: _Made, number: int) -> _Made:
        """Let an agent play, or take what it played already."""
        count, given = self._preset.collected, self._settings.episodes
        if given is not None and number == 0:
            return self.run.stage(
                "collected", [player], {"episodes": hash_of(given)}, lambda out: shutil.copyfile(given, out / EPISODES)
            )
        rollouts = Rollouts(
            policy=player.policy,
            episodes=count,
            seed=COLLECTED * (1 + number) + self._seed * count,
            acting=ActorConfig(device=self._settings.device),
            env=self._settings.env,
        )
        identity = {"episodes": count, "seed": self._seed, **self._where}
        return self.run.stage(
            _numbered("collected", number), [player], identity, lambda out: collect_to(rollouts, out / EPISODES)
        )

    def reward(self, compared: Sequence[_Made]) -> _Made:
        """Compare what was played, in this and the rounds before, and learn a reward."""
        stage, to = self._preset.reward, self._settings.to
        seeded = replace(stage, training=replace(stage.training, seed=self._seed))
        aim = aim_of(to) if to else None
        sources = [Source(played.folder / EPISODES, self._answers(played, k)) for k, played in enumerate(compared)]
        answered = [source.answers and hash_of(source.answers) for source in sources]
        return self.run.stage(
            _numbered("reward", len(sources) - 1),
            compared,
            {"reward": asdict(stage), "to": to, "seed": self._seed, "answers": answered},
            lambda out: train_reward(seeded, sources, aim, out, Teacher()),
        )

    def _answers(self, played: _Made, number: int) -> Path | None:
        """The file of a person's answers about what was played in a round.

        Raises: DataError: there is none yet.
        """
        first = self._settings.answers
        if first is None:
            return None
        path = first.with_stem(_numbered(first.stem, number))
        if not path.exists():
            kept = path.with_suffix(".sqlite")
            raise DataError(
                "compare episodes now, then say this again: "
                f"skygarden label {played.folder / EPISODES} --answers {kept}"
                + (f" --reward {self._settings.out / _numbered('reward', number - 1) / REWARD}" if number else "")
                + ("" if kept == path else f"; take them out with: skygarden answers {kept} --export-to {path}")
            )
        return path

    def tune(self, player: _Made, played: _Made, reward: _Made, number: int) -> _Made:
        """Imitate the best of what was played."""
        stage = self._preset.tuning
        return self.run.stage(
            _numbered("tuned", number),
            [player, played, reward],
            {"tuning": asdict(stage), "seed": self._seed},
            lambda out: tune(stage, player.policy, played.folder / EPISODES, reward.folder / REWARD, out, self._seed),
        )

    def online(self, tuned: _Made, sft: _Made, played: _Made, reward: _Made, number: int) -> _Made:
        """Learn from the reward while playing."""
        config = replace(self._preset.online, seed=self._seed + _LATER * number)
        return self.run.stage(
            _numbered("online", number),
            [tuned, sft, reward, played],
            {"online": asdict(config), **self._where},
            lambda out: online(
                config,
                tuned.policy,
                sft.policy,
                reward.folder / REWARD,
                out,
                played.folder / EPISODES,
                self._settings.env,
                self._settings.workplace,
            ),
        )

    def evaluate(self, title: str, agent: _Made) -> _Made:
        """See what an agent does."""
        rollouts = Rollouts(
            policy=agent.policy,
            episodes=self._preset.evaluated,
            acting=ActorConfig(device=self._settings.device),
            env=self._settings.env,
        )
        to = self._settings.to
        aim = aim_of(to) if to else None
        rule = {} if aim is None or aim.rule is None else {"rule": to}  # pads are counted in any case
        return self.run.stage(
            f"evaluation/{title}",
            [agent],
            {"episodes": rollouts.episodes, **rule, **self._where},
            lambda out: evaluate(rollouts, out, videos=3, title=title, aim=aim),
        )


def _numbered(name: str, number: int) -> str:
    return name if number == 0 else f"{name}-{number + 1}"


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _set_aside(folder: Path) -> None:
    """Give a folder another name, so that nothing in it is lost."""
    if folder.exists():
        number = 1
        while (aside := folder.with_name(f"{folder.name}.old-{number}")).exists():
            number += 1
        shutil.move(folder, aside)
        Console().print(f"{folder} was made from other settings; it is now {aside}")
