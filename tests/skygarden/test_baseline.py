"""Laws of `skygarden baseline`: what it leaves reads like an evaluation's, and a run that was stopped goes on."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from envs.errors import CheckpointError, MissingPackageError, OptionError
from rollout.rllib.settings import PpoSettings
from skygarden.baseline import METRICS, _line, baseline
from skygarden.evaluate import summarise
from skygarden.playing import RANDOM, Rollouts, play
from tests.skygarden.conftest import Command

SMOKE = PpoSettings(steps=256, environments=4, batch_size=256, minibatch_size=128, epochs=1)


def lines_of(out: Path) -> list[dict[str, Any]]:
    """What the updates reported."""
    return [json.loads(line) for line in (out / METRICS).read_text().splitlines()]


@pytest.mark.slow
def test_a_run_leaves_metrics_and_results_as_an_evaluation_does_and_goes_on(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else a token file in somebody's home decides
    run = ("baseline", "ppo", "--preset", "smoke", "--episodes", 4, "--out", tmp_path)
    command(*run)
    assert [(line["update"], line["steps"]) for line in lines_of(tmp_path)] == [(1, 256), (2, 512)]
    assert sum(line["episodes"] for line in lines_of(tmp_path)) == 4  # of 100 steps, in 4 environments for 128 each
    results = json.loads((tmp_path / "results.json").read_text())
    other = summarise(play(Rollouts(policy=RANDOM, episodes=4)), Rollouts(policy=RANDOM, episodes=4))
    assert results.keys() == other.keys()
    assert results["episodes"] == sum(results[pad] for pad in ("left", "middle", "right", "none")) == 4
    assert [spawn["episodes"] for spawn in results["by_spawn"]] == [spawn["episodes"] for spawn in other["by_spawn"]]
    assert (results["settings"]["steps"], results["settings"]["target"]) == (512, "left")

    with (tmp_path / METRICS).open("a") as file:  # as a run that was killed after its last checkpoint leaves it
        file.write('{"update": 3, "steps": 768}\n{"update"')
    command(*run, "--steps", 1000)
    assert [(line["update"], line["steps"]) for line in lines_of(tmp_path)] == [(1, 256), (2, 512), (3, 768), (4, 1024)]
    assert json.loads((tmp_path / "results.json").read_text())["settings"]["steps"] == 1024
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    assert [event.step for event in events.Reload().Scalars("baseline/entropy")] == [256, 512, 768, 1024]
    assert sorted(path.name for path in tmp_path.glob("checkpoint*")) == ["checkpoint"]


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"algorithm": "ppo", "target": "right", "seed": 0}))
    with pytest.raises(CheckpointError, match=r"differs in batch_size, .*, target, trace"):
        baseline(SMOKE, "left", 4, tmp_path)


def test_without_ray_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'skygarden\[cluster\]'"):
        baseline(SMOKE, "left", 4, tmp_path)


def test_an_evaluation_of_no_episode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="1 or more episodes, got 0"):
        baseline(SMOKE, "left", 0, tmp_path)


def test_a_metric_without_a_value_is_none_and_a_pad_that_was_not_reached_is_zero() -> None:
    nan = float("nan")
    learnt = {"policy_loss": 0.1, "vf_loss": 0.2, "vf_explained_var": nan, "entropy": 17.0}
    played = {"reached": {"left": 1, "right": nan, "none": 3}}
    line = _line(
        {
            "training_iteration": 7,
            "num_env_steps_sampled_lifetime": 700.0,
            "env_runners": played,
            "learners": {"default_policy": learnt},
        },
        "left",
    )
    assert line["reached"] == {"left": 1, "middle": 0, "right": 0, "none": 3}
    assert (line["update"], line["steps"], line["episodes"], line["success"]) == (7, 700, 4, 0.25)
    assert (line["vf_explained_var"], line["entropy"]) == (None, 17.0)
