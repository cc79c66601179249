"""Online alignment: the learner here, workers beside it or elsewhere, and what a person sees of it."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from agents.checkpoint import load_policy, trunk_hash
from agents.parallel import one_thread
from agents.reward import load_reward
from rollout.delivery.assignment import Contract
from rollout.delivery.journal import Journal
from rollout.desk import Desk
from rollout.environments import EnvConfig
from rollout.learner import OnlineConfig, OnlineMetrics, lasting_settings, train_online
from rollout.lock import claim
from rollout.store import read_episodes
from skygarden.aims import aim_of
from skygarden.files import write_text
from skygarden.monitor import Monitor
from skygarden.policies import policy_path
from skygarden.rewarding import hash_of
from skygarden.workplace import Here, Job, Workplace

METRICS: Final = "metrics.jsonl"
_WARNING: Final = (
    "[yellow]The score rises while true success falls: the reward model is being exploited. Stop and compare new "
    "episodes, or set a weight for the KL divergence.[/yellow]"
)
Tell = Callable[[Mapping[str, Any]], None]
_WINDOW: Final = 10  # updates over which what is shown is averaged
_SCORE_UP, _SUCCESS_DOWN = 0.02, 0.05  # together, from one window to the next, they make a warning


def online(
    config: OnlineConfig,
    start: str,
    reference: str,
    reward: Path,
    out: Path,
    primer: Path | None = None,
    env: EnvConfig | None = None,
    workplace: Workplace | None = None,
) -> Path:
    """Align a policy online; a run that was stopped goes on.

    Args: start: the policy to align. reference: the one that the KL divergence is measured to, of the same trunk.
      reward: the reward model's file. out: folder of the run. primer: a file of episodes that the critic learns from
      before the first update, but for those that the reward model is tested on. env: what the workers play; default:
      the stand-in. A window on this machine has one player. workplace: where the workers are; default: on this machine.
    Returns: the aligned policy's file.
    Raises: as `rollout.learner.train_online`.
    """
    env, workplace = env or EnvConfig(), workplace or Here()
    config = replace(config, shares=workplace.windows) if workplace.windows and not env.redrawn else config
    policy, _ = load_policy(policy_path(start))
    before, _ = load_policy(policy_path(reference), policy.config)
    artefact = load_reward(reward)
    known = read_episodes(primer)[0][: artefact.about.get("learnable")] if primer else []
    wanted: str | None = artefact.about.get("wanted")
    aim = aim_of(wanted) if wanted else None
    shown = aim.shown if aim and aim.measured else None  # for the eye only: nothing is learnt from true success
    trunk = trunk_hash(policy)
    contract = Contract(
        trunk=trunk,
        width=policy.config.width,
        reads=artefact.reads,
        context=config.context,
        temperature=config.temperature,
    )
    identity = {"stage": "online", "start": start, "reference": reference, "reward": str(reward), "primer": str(primer)}
    if not env.redrawn:
        identity["game"] = env.profile
    whole = json.dumps([identity, lasting_settings(config), hash_of(policy_path(start))], sort_keys=True)
    with claim(out, "learner"), closing(Journal(out / "journal", whole, keep=config.keep_journal)) as journal:
        desk = Desk(contract, journal)
        job = Job(desk=desk, policy=policy_path(start), env=env, shares=config.shares, out=out)
        with workplace.open(job) as server, one_thread():  # the workers have the other processors
            done = len(read_metrics(out))
            with closing(Monitor(out, desk, server.address, config.updates, done, config.metrics_port)) as monitor:
                updates = train_online(policy, before, artefact, trunk, server, config, out, identity, known, shown)
                show(updates, config, aim and aim.title, out, monitor.tell)
    return out / "policy.safetensors"


def show(updates: Iterable[OnlineMetrics], config: OnlineConfig, title: str | None, out: Path, tell: Tell) -> None:
    """Show, keep and tell what every update reports, and warn when score and true success part.

    Args: title: of what is wanted.
    """
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    history = read_metrics(out)
    with closing(_Log(out)) as log, Progress(*columns, TextColumn("{task.description}")) as bar:
        task = bar.add_task("starting the workers", total=config.updates)
        for metrics in updates:
            line = log.add(metrics)
            tell(line)
            history = [*history[: metrics.update - 1], line]
            recent = history[-_WINDOW:]
            score = np.mean([past["score"] for past in recent])
            measured = line["success"] is not None
            success = f", {title} {np.mean([past['success'] for past in recent]):.0%}" if measured else ""
            speed = sum(past["episodes"] for past in recent) / sum(past["seconds"] for past in recent)
            text = f"score {score:.2f}{success}, {speed:.1f} episodes/s"
            bar.update(task, completed=metrics.update, description=text)
            if metrics.update % (5 * _WINDOW) == 0 or metrics.update == config.updates:
                bar.print(f"{metrics.update} updates: {text}, KL {line['kl']:.3f}, entropy {line['entropy']:.2f} nats")
            if measured and metrics.update % _WINDOW == 0 and over_optimised(history, _WINDOW):
                bar.print(_WARNING)


def over_optimised(history: Sequence[dict[str, Any]], window: int) -> bool:
    """Whether, from the last but one `window` updates to the last, the score rose while true success fell."""
    if len(history) < 2 * window:
        return False
    before, now = history[-2 * window : -window], history[-window:]
    score, success = (
        np.mean([line[key] for line in now]) - np.mean([line[key] for line in before]) for key in ("score", "success")
    )
    return bool(score > _SCORE_UP and success < -_SUCCESS_DOWN)


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """What the updates of a run reported, in order; a line that a killed run left half-written is left out."""
    path = folder / METRICS
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


class _Log:
    """A run's metrics as JSON lines and TensorBoard curves; a run that goes on takes the place of what was lost."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def add(self, metrics: OnlineMetrics) -> dict[str, Any]:
        line = {
            "update": metrics.update,
            "episodes": metrics.episodes,
            "score": metrics.learnt.reward,
            "success": None if metrics.shown is None else metrics.shown / metrics.episodes,
            "reached": metrics.reached,
            "steps": metrics.steps,
            "kl": metrics.learnt.kl,
            "entropy": metrics.learnt.entropy,
            "gradient_norm": metrics.learnt.gradient_norm,
            "importance_weight": metrics.learnt.weight,
            "staleness": metrics.staleness,
            "seconds": metrics.seconds,
            "learning_seconds": metrics.learning,
        }
        if self._writer is None:
            kept = [past for past in read_metrics(self._folder) if past["update"] < metrics.update]
            text = "".join(f"{json.dumps(past)}\n" for past in kept)
            write_text(self._folder / METRICS, text)
            self._writer = SummaryWriter(self._folder / "tensorboard", purge_step=metrics.update)
        with (self._folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(line)}\n")
        for name, value in line.items():
            if isinstance(value, int | float) and name != "update":
                self._writer.add_scalar(f"online/{name}", value, metrics.update)
        self._writer.flush()  # before the checkpoint, or a run that is killed then lacks a point for ever
        return line

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
