"""Reinforcement learning from scratch, as RLlib has it: what an agent learns that is told no more than "this pad".

A run keeps RLlib's checkpoint, which holds pickles: go on with your own runs only.
"""

import json
import logging
import math
import shutil
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from agents.parallel import one_thread
from envs.errors import CheckpointError, MissingPackageError, OptionError
from envs.vector import SkygardenVectorEnv
from rollout.collect import Agent, collect
from rollout.rllib.settings import PpoSettings
from skygarden.evaluate import OUTCOMES, name, results_table, summarise
from skygarden.files import write_text
from skygarden.pictures import bar_chart
from skygarden.playing import Rollouts

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm import Algorithm

METRICS: Final = "metrics.jsonl"
_SETTINGS: Final = "settings.json"  # that must be the same for a run to go on
_CHECKPOINT: Final = "checkpoint"
_FREE: Final = ("steps", "checkpoint_every")  # settings that may differ when a run goes on
_LEARNT: Final = ("policy_loss", "vf_loss", "vf_explained_var", "entropy")


def baseline(settings: PpoSettings, target: str, episodes: int, out: Path, seed: int = 0) -> dict[str, Any]:
    """Train, or go on, and evaluate; write metrics and results to a folder.

    Args: target: the pad that is rewarded. episodes: of the evaluation, from the seeds that `skygarden evaluate` uses.
    Returns: what is in results.json.
    Raises: MissingPackageError: Ray is not installed. CheckpointError: the folder holds another run.
    """
    if episodes < 1:
        raise OptionError(f"an evaluation takes 1 or more episodes, got {episodes}")
    out.mkdir(parents=True, exist_ok=True)
    fixed = {key: value for key, value in asdict(settings).items() if key not in _FREE}
    _claim(out / _SETTINGS, {"algorithm": "ppo", "target": target, "seed": seed, **fixed})
    # One thread, as on a busy machine two that wait for each other take several times as long.
    with one_thread(), _algorithm(settings, target, seed) as algorithm:
        steps = _train(algorithm, settings, target, out)
        agent = _agent(algorithm, seed)
        with closing(SkygardenVectorEnv(min(64, episodes))) as envs:
            played = list(collect(envs, agent, range(episodes)))
    about = {"algorithm": "ppo", "target": target, "seed": seed, **asdict(settings), "steps": steps}
    results = {**summarise(played, Rollouts(policy="ppo", episodes=episodes)), "settings": about}
    title = f"PPO from scratch, {steps} steps, {len(played)} episodes"
    bar_chart(out / "pads.png", {title: results})
    write_text(out / "results.json", json.dumps(results, indent=2))
    Console().print(results_table(results, title))
    return results


@contextmanager
def _algorithm(settings: PpoSettings, target: str, seed: int) -> "Generator[Algorithm, None, None]":
    """RLlib's algorithm, in this process alone."""
    try:
        import ray

        from rollout.rllib.ppo import ppo_config
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"the baseline is RLlib's: pip install 'skygarden[cluster]' ({error})") from error
    for talker in ("ray", "ray.rllib"):  # which advise on how to move from RLlib's old ways
        logging.getLogger(talker).setLevel(logging.ERROR)
    ours = not ray.is_initialized()
    if ours:  # "local": it would join any cluster of this machine otherwise
        ray.init("local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    algorithm = ppo_config(settings, target, seed).build_algo()
    try:
        yield algorithm
    finally:
        algorithm.stop()
        with suppress(OSError):
            Path(algorithm.logdir).rmdir()  # RLlib's own, in the user's home, with nothing in it
        if ours:
            ray.shutdown()


def _agent(algorithm: "Algorithm", seed: int) -> Agent:
    from rollout.rllib.ppo import PixelAgent

    return PixelAgent(cast("Any", algorithm.get_module()), seed)


def _claim(path: Path, fixed: dict[str, Any]) -> None:
    """Write down what makes a run this one, or check it.

    Raises: CheckpointError: another run is there.
    """
    if not path.exists():
        write_text(path, json.dumps(fixed, indent=2))
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    if found != fixed:
        keys = sorted(key for key in {*found, *fixed} if found.get(key) != fixed.get(key))
        raise CheckpointError(f"{path.parent} holds a run that differs in {', '.join(keys)}; use another folder")


def _train(algorithm: "Algorithm", settings: PpoSettings, target: str, out: Path) -> int:
    """Train until the steps are played; returns how many were."""
    done = _resume(algorithm, out)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with closing(_Log(out, done)) as log, Progress(*columns, TextColumn("{task.description}")) as bar:
        task = bar.add_task("", total=settings.steps, completed=done)
        while done < settings.steps:
            started = time.perf_counter()
            line = _line(algorithm.train(), target)
            speed = (line["steps"] - done) / (time.perf_counter() - started)
            done = line["steps"]
            log.add({**line, "steps_per_second": speed})
            text = f"{target} {line['success'] or 0:.1%}, {speed:.0f} steps/s"
            bar.update(task, completed=done, description=text)
            if line["update"] % settings.checkpoint_every == 0 or done >= settings.steps:
                _save(algorithm, out)
                bar.print(f"{done} steps: {text}, entropy {line['entropy']:.2f} nats")
    return done


def _line(result: dict[str, Any], target: str) -> dict[str, Any]:
    """What an update reports, from RLlib's result, where a metric without a value is NaN."""
    played, learnt = result["env_runners"], result["learners"]["default_policy"]
    ended = {name(pad): _count(played.get("reached", {}).get(name(pad))) for pad in OUTCOMES}
    episodes = sum(ended.values())
    return {
        "update": result["training_iteration"],
        "steps": int(result["num_env_steps_sampled_lifetime"]),
        "episodes": episodes,
        "reached": ended,
        "success": ended[target] / episodes if episodes else None,
        **{key: value if math.isfinite(value := float(learnt[key])) else None for key in _LEARNT},
    }


def _count(value: Any) -> int:
    return 0 if value is None or math.isnan(value) else int(value)


def _save(algorithm: "Algorithm", out: Path) -> None:
    """Write a checkpoint beside the one before, which goes when it is whole."""
    new, old = out / f"{_CHECKPOINT}.partial", out / f"{_CHECKPOINT}.old"
    for folder in (new, old):
        shutil.rmtree(folder, ignore_errors=True)
    algorithm.save_to_path(new.resolve())
    if (out / _CHECKPOINT).exists():
        (out / _CHECKPOINT).rename(old)
    new.rename(out / _CHECKPOINT)
    shutil.rmtree(old, ignore_errors=True)


def _resume(algorithm: "Algorithm", out: Path) -> int:
    """Load the last checkpoint, if there is one; returns the steps that it has behind it."""
    folders = [out / _CHECKPOINT, out / f"{_CHECKPOINT}.old"]  # the old one where a run was killed between two renames
    kept = next((folder for folder in folders if folder.exists()), None)
    if kept is None:
        return 0
    algorithm.restore_from_path(kept.resolve())
    return int(algorithm.metrics.peek(("env_runners", "num_env_steps_sampled_lifetime")))


class _Log:
    """A run's metrics as JSON lines and TensorBoard curves; a run that goes on takes the place of what was lost."""

    def __init__(self, folder: Path, done: int) -> None:
        self._path = folder / METRICS
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        lines = [line for line in text.split("\n")[:-1] if json.loads(line)["steps"] <= done]
        write_text(self._path, "".join(f"{line}\n" for line in lines))
        self._writer: Any = SummaryWriter(folder / "tensorboard", purge_step=done + 1)

    def add(self, line: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(line)}\n")
        for key, value in line.items():
            if isinstance(value, int | float):
                self._writer.add_scalar(f"baseline/{key}", value, line["steps"])

    def close(self) -> None:
        self._writer.close()
