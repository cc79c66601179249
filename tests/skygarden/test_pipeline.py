"""Laws of an alignment's stages, and the whole of it as a user starts it."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agents.checkpoint import load_policy, trunk_hash
from envs.errors import DataError, OptionError
from rollout.environments import EnvConfig
from rollout.learner import seeds_of
from skygarden import pipeline
from skygarden.aims import aim_of
from skygarden.pipeline import Alignment, _given, _Made, _Run, align
from skygarden.presets import LAPTOP, SMOKE, THROUGH_A_WINDOW
from skygarden.report import Stage
from skygarden.rewarding import Source
from skygarden.workplace import Here

STAGES = ("sft", "collected", "reward", "tuned", "online")
TITLES = ("base", "fine-tuned", "preference-tuned", "aligned")


@dataclass
class Kitchen:
    """An alignment of three stages that leave notes: the second reads the first, the third reads both.

    Raises: KeyboardInterrupt: the stage that breaks is made; it leaves half a note.
    """

    out: Path
    settings: dict[str, int] = field(default_factory=lambda: {"first": 1, "second": 1, "third": 1})
    breaks: str | None = None
    made: list[str] = field(default_factory=list)  # by the last cook
    stages: list[Stage] = field(default_factory=list)  # of the last cook

    def cook(self, given: _Made | None = None) -> None:
        """Make what is missing."""
        self.made.clear()
        run = _Run(self.out)
        self.stages = run.made
        start = given or _Made(self.out, "", "given")
        first = run.stage("first", [start], {"salt": self.settings["first"]}, self._making("first"))
        second = run.stage("second", [first], {"salt": self.settings["second"]}, self._making("second"))
        run.stage("deep/third", [first, second], {"salt": self.settings["third"]}, self._making("third"))

    def _making(self, name: str) -> Callable[[Path], None]:
        def make(folder: Path) -> None:
            self.made.append(name)
            with (folder / "note.txt").open("a", encoding="utf-8") as file:
                file.write("half ")
                if self.breaks == name:
                    raise KeyboardInterrupt
                file.write(f"{name} {self.settings[name]}")

        return make

    def note(self, folder: str) -> str:
        """What a stage left."""
        return (self.out / folder / "note.txt").read_text(encoding="utf-8")


@pytest.fixture
def kitchen(tmp_path: Path) -> Kitchen:
    """One where nothing is made yet."""
    return Kitchen(tmp_path / "run")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock that stages are timed by: 5 seconds pass from look to look."""
    made = SimpleNamespace(now=100.0)

    def look() -> float:
        made.now += 5.0
        return made.now

    monkeypatch.setattr(pipeline, "time", SimpleNamespace(perf_counter=look))
    return made


def test_stages_are_made_in_order_once_and_then_found(kitchen: Kitchen, capsys: pytest.CaptureFixture[str]) -> None:
    kitchen.cook()
    assert kitchen.made == ["first", "second", "third"]
    assert [kitchen.note(name) for name in ("first", "second", "deep/third")] == [
        "half first 1",
        "half second 1",
        "half third 1",
    ]
    capsys.readouterr()
    kitchen.cook()
    assert kitchen.made == []
    assert capsys.readouterr().out.count("made before, from the same settings") == 3
    assert sorted(path.name for path in kitchen.out.iterdir()) == ["deep", "first", "second"]


def test_a_stage_hands_on_its_folder_and_a_key(kitchen: Kitchen) -> None:
    run = _Run(kitchen.out)
    made, again, other = (
        run.stage(name, [], {"salt": salt}, lambda _: None) for name, salt in (("a", 1), ("b", 1), ("c", 2))
    )
    assert (made.folder, made.policy) == (kitchen.out / "a", str(kitchen.out / "a"))
    assert made.key == again.key != other.key


def test_a_stage_of_other_settings_is_made_anew_with_all_that_follow_and_nothing_is_lost(kitchen: Kitchen) -> None:
    kitchen.cook()
    kitchen.settings["second"] = 2
    kitchen.cook()
    assert kitchen.made == ["second", "third"]
    assert kitchen.note("second") == "half second 2"
    assert kitchen.note("second.old-1") == "half second 1"
    assert kitchen.note("deep/third") == kitchen.note("deep/third.old-1") == "half third 1"
    kitchen.settings["second"] = 3
    kitchen.cook()
    assert [kitchen.note(f"second{name}") for name in ("", ".old-1", ".old-2")] == [
        "half second 3",
        "half second 1",
        "half second 2",
    ]
    kitchen.cook()
    assert kitchen.made == []


def test_the_last_stage_can_change_alone(kitchen: Kitchen) -> None:
    kitchen.cook()
    kitchen.settings["third"] = 2
    kitchen.cook()
    assert kitchen.made == ["third"]


def test_a_changed_first_stage_changes_all_that_follow(kitchen: Kitchen) -> None:
    kitchen.cook()
    kitchen.settings["first"] = 2
    kitchen.cook()
    assert kitchen.made == ["first", "second", "third"]
    assert [kitchen.note(f"{name}.old-1") for name in ("first", "second", "deep/third")] == [
        "half first 1",
        "half second 1",
        "half third 1",
    ]


def test_another_policy_to_start_from_changes_all(kitchen: Kitchen, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.safetensors" for name in "abc"]
    for path, text in zip(paths, ("one", "one", "two"), strict=True):
        path.write_text(text, encoding="utf-8")
    first, same, other = (_given(str(path)) for path in paths)
    kitchen.cook(first)
    kitchen.cook(same)  # the same file by another name
    assert kitchen.made == []
    kitchen.cook(other)
    assert kitchen.made == ["first", "second", "third"]


def test_a_stage_that_was_stopped_goes_on_in_its_folder_and_its_times_are_added(
    kitchen: Kitchen, clock: SimpleNamespace
) -> None:
    kitchen.breaks = "second"
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            kitchen.cook()
    kitchen.breaks = None
    kitchen.cook()
    assert kitchen.made == ["second", "third"]
    assert kitchen.note("second") == "half half half second 1"
    assert not list(kitchen.out.glob("*.old-*"))
    assert kitchen.stages == [Stage("first", 5.0), Stage("second", 15.0), Stage("deep/third", 5.0)]
    kitchen.cook()
    assert kitchen.stages == [Stage("first", 5.0), Stage("second", 15.0), Stage("deep/third", 5.0)]


def test_a_stage_that_was_stopped_and_then_changed_is_set_aside(kitchen: Kitchen, clock: SimpleNamespace) -> None:
    kitchen.breaks = "second"
    with pytest.raises(KeyboardInterrupt):
        kitchen.cook()
    kitchen.breaks = None
    kitchen.settings["second"] = 2
    kitchen.cook()
    assert kitchen.note("second.old-1") == "half "
    assert kitchen.note("second") == "half second 2"
    assert kitchen.stages[1] == Stage("second", 5.0)  # the other one's time is not its own


def test_a_folder_that_somebody_else_made_is_set_aside(kitchen: Kitchen) -> None:
    (kitchen.out / "first").mkdir(parents=True)
    (kitchen.out / "first" / "mine.txt").write_text("mine", encoding="utf-8")
    kitchen.cook()
    assert kitchen.note("first") == "half first 1"
    assert (kitchen.out / "first.old-1" / "mine.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"seed": -1}])
def test_an_alignment_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(OptionError, match="1 or more rounds and a seed of 0 or more"):
        Alignment(to="left", preset=SMOKE, **wrong)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("wrong", [{"rounds": 10}, {"seed": 416}])
def test_an_alignment_in_which_two_stages_would_play_from_the_same_starts_is_refused(wrong: dict[str, int]) -> None:
    Alignment(to="left", preset=LAPTOP, rounds=9, seed=415)  # 416 times 2,400 starts lie below a million
    with pytest.raises(OptionError, match="up to 9 rounds and seeds up to 415"):
        Alignment(to="left", preset=LAPTOP, **wrong)  # pyright: ignore[reportArgumentType]


def test_an_alignment_of_a_policy_that_is_not_there_leaves_nothing(
    command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for policy in (("--policy", "nobody"), ("--finetuned", "nobody")):
        with pytest.raises(SystemExit, match="2"):
            command("align", "--to", "left", "--preset", "smoke", *policy, "--out", tmp_path / "run")
        assert "there is no policy 'nobody'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What an alignment asks for, where nothing is really made."""
    asked: list[tuple[Any, ...]] = []
    for name in ("finetune", "collect_to", "train_reward", "tune", "online", "evaluate", "write_report"):
        monkeypatch.setattr(pipeline, name, lambda *given, _name=name, **named: asked.append((_name, *given)))
    return asked


def test_each_stage_is_given_what_the_ones_before_it_made(
    calls: list[tuple[Any, ...]], walker: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    align(Alignment(to="right", preset=SMOKE, base=str(walker), rounds=2, seed=3, data=tmp_path / "data", out=out))
    assert [name for name, *_ in calls] == [
        *("finetune", "collect_to", "train_reward", "tune", "collect_to", "tune", "online"),
        *(["evaluate"] * 4),
        "write_report",
    ]
    sft, collected, again = str(out / "sft"), out / "collected", out / "collected-2" / "episodes.safetensors"
    reward, first = out / "reward" / "reward.safetensors", collected / "episodes.safetensors"
    finetuned, played, rewarded, tuned, played_again, tuned_again, online, *evaluated, report = (
        list(given) for _, *given in calls
    )
    assert finetuned[1:] == [str(walker), SMOKE.size, tmp_path / "data", out / "sft", 3, "auto"]
    assert [(made[0].policy, made[1]) for made in (played, played_again)] == [(sft, first), (str(out / "tuned"), again)]
    assert rewarded[1:3] == [[Source(first)], aim_of("right")]
    assert rewarded[0].training.seed == 3
    assert tuned[1:] == [sft, first, reward, out / "tuned", 3]
    assert tuned_again[1:] == [str(out / "tuned"), again, reward, out / "tuned-2", 3]
    assert online[1:] == [str(out / "tuned-2"), sft, reward, out / "online", again, EnvConfig(), Here()]
    assert online[0].seed == 3
    agents = [str(walker), sft, str(out / "tuned-2"), str(out / "online")]
    assert [settings.policy for settings, _ in evaluated] == agents
    assert [where for _, where in evaluated] == list(report[2].values()) == [out / "evaluation" / t for t in TITLES]


def test_whoever_plays_plays_in_the_window_that_was_asked_for_and_those_stages_are_others(
    calls: list[tuple[Any, ...]], walker: Path, tmp_path: Path
) -> None:
    window = EnvConfig(backend="window", profile="my-game.toml")
    for env in (EnvConfig(), window):
        align(Alignment(to="left", preset=SMOKE, base=str(walker), env=env, out=tmp_path / "run"))
    again = calls[len(calls) // 2 :]
    sights = [given[0].sights for name, *given in calls if name == "finetune"]
    assert sights == [SMOKE.finetune.sights, THROUGH_A_WINDOW]  # frames come earlier in a window
    assert [name for name, *_ in again] == [
        "finetune",
        "collect_to",
        "train_reward",
        "tune",
        "online",
        *["evaluate"] * 4,
        "write_report",
    ]
    assert [given[0].env for name, *given in again if name in ("collect_to", "evaluate")] == [window] * 5
    assert [given[-2] for name, *given in again if name == "online"] == [window]


def test_no_episode_is_played_from_a_seed_that_another_stage_has_used(
    calls: list[tuple[Any, ...]], walker: Path, tmp_path: Path
) -> None:
    align(Alignment(to="left", preset=SMOKE, base=str(walker), rounds=3, seed=2, out=tmp_path / "run"))
    rollouts = [given[0] for name, *given in calls if name in ("collect_to", "evaluate")]
    collected, evaluated = (
        [range(r.seed, r.seed + r.episodes) for r in rollouts if r.episodes == count]
        for count in (SMOKE.collected, SMOKE.evaluated)
    )
    (config,) = (given[0] for name, *given in calls if name == "online")
    learnt = [seeds_of(config, batch) for batch in range(config.updates)]
    assert (len(collected), len(set(evaluated))) == (3, 1)  # all agents are evaluated on the same starts
    seeds = [seed for part in (*collected, evaluated[0], *learnt) for seed in part]
    assert len(seeds) == len(set(seeds)) == 3 * 16 + 8 + 2 * 4


def test_an_agent_that_is_fine_tuned_already_leaves_that_stage_out(
    calls: list[tuple[Any, ...]], walker: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    align(Alignment(to="left", preset=SMOKE, base=str(walker), finetuned=str(walker), out=out))
    assert [name for name, *_ in calls[:2]] == ["collect_to", "train_reward"]
    assert calls[0][1].policy == str(walker)
    assert not (out / "sft").exists()


def test_another_pad_is_another_reward_and_the_same_episodes(
    calls: list[tuple[Any, ...]], walker: Path, tmp_path: Path
) -> None:
    for pad in ("left", "right"):
        calls.clear()
        align(Alignment(to=pad, preset=SMOKE, base=str(walker), out=tmp_path / "run"))
    assert [(name, *given[-1:]) for name, *given in calls if name == "evaluate"] == [
        ("evaluate", tmp_path / "run" / "evaluation" / title) for title in TITLES[2:]
    ]
    assert [name for name, *_ in calls] == ["train_reward", "tune", "online", "evaluate", "evaluate", "write_report"]


# A person's answers


@pytest.fixture
def answered(tmp_path: Path) -> Alignment:
    """An alignment to answers that are not there yet."""
    walker_like = tmp_path / "policy.safetensors"
    walker_like.write_text("a policy", encoding="utf-8")
    return Alignment(
        to=None,
        answers=tmp_path / "mine.sqlite",
        preset=SMOKE,
        base=str(walker_like),
        rounds=2,
        seed=3,
        out=tmp_path / "run",
    )


def test_a_run_pauses_where_it_needs_answers_and_says_how_to_give_them(
    calls: list[tuple[Any, ...]], answered: Alignment
) -> None:
    episodes = answered.out / "collected" / "episodes.safetensors"
    with pytest.raises(DataError, match=rf"skygarden label {episodes} --answers {answered.answers}$"):
        align(answered)
    assert [name for name, *_ in calls] == ["finetune", "collect_to"]


def test_answers_in_another_file_are_to_be_taken_out_of_the_pages(
    calls: list[tuple[Any, ...]], answered: Alignment
) -> None:
    table = answered.out.parent / "mine.parquet"
    with pytest.raises(DataError, match=rf"skygarden answers {answered.answers} .*--export-to {table}$"):
        align(replace(answered, answers=table))


def test_each_round_asks_about_what_the_aligned_agent_does_and_learns_from_all_answers(
    calls: list[tuple[Any, ...]], answered: Alignment
) -> None:
    first, second = answered.out.parent / "mine.sqlite", answered.out.parent / "mine-2.sqlite"
    first.write_text("answers", encoding="utf-8")
    out = answered.out
    with pytest.raises(DataError, match=rf"--answers {second} --reward {out}/reward/reward.safetensors$"):
        align(answered)
    assert [name for name, *_ in calls] == [
        *("finetune", "collect_to", "train_reward", "tune", "online", "collect_to"),
    ]
    assert calls[5][1].policy == str(out / "online")
    second.write_text("more answers", encoding="utf-8")
    calls.clear()
    align(answered)
    rewarded, tuned, online, *_, report = calls
    episodes = [out / name / "episodes.safetensors" for name in ("collected", "collected-2")]
    assert rewarded[2] == [Source(episodes[0], first), Source(episodes[1], second)]
    assert rewarded[3:5] == (None, out / "reward-2")
    assert tuned[2:5] == (str(out / "sft"), episodes[0], out / "reward-2" / "reward.safetensors")
    assert online[2:4] == (str(out / "tuned-2"), str(out / "sft"))
    assert online[1].seed != 3  # other starts than in the first round
    assert [given[0].policy for name, *given in calls if name == "evaluate"][-1] == str(out / "online-2")
    assert report[2] == "what was preferred"


def test_new_answers_are_another_reward(calls: list[tuple[Any, ...]], answered: Alignment) -> None:
    mine = answered.out.parent / "mine.sqlite"
    once = replace(answered, rounds=1)
    for text in ("answers", "answers", "other answers"):
        mine.write_text(text, encoding="utf-8")
        align(once)
    assert [name for name, *_ in calls].count("train_reward") == 2


def test_episodes_that_were_played_before_are_taken_as_they_are(
    calls: list[tuple[Any, ...]], answered: Alignment, tmp_path: Path
) -> None:
    mine, played = tmp_path / "mine.sqlite", tmp_path / "played.safetensors"
    mine.write_text("answers", encoding="utf-8")
    played.write_text("episodes", encoding="utf-8")
    align(replace(answered, rounds=1, finetuned=answered.base, episodes=played))
    assert (answered.out / "collected" / "episodes.safetensors").read_text(encoding="utf-8") == "episodes"
    assert next(name for name, *_ in calls) == "train_reward"
    with pytest.raises(OptionError, match="--finetuned POLICY"):
        replace(answered, episodes=played)


def test_a_rules_behaviour_is_counted_for_every_agent(calls: list[tuple[Any, ...]], answered: Alignment) -> None:
    align(replace(answered, answers=None, rounds=1, to="skygarden.rules:never_attack"))
    assert calls[-1][2] == "never attack"
    assert all(name == "evaluate" for name, *_ in calls[-5:-1])


def files(out: Path) -> dict[str, int]:
    """When each file of the stages was last written."""
    folders = [out / name for name in (*STAGES, "evaluation")]
    return {str(path): path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_an_alignment_ends_in_a_report_and_a_second_time_nothing_is_made_again(
    command, gameplay: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    arguments = ("align", "--to", "left", "--preset", "smoke", "--data", gameplay / "ninja", "--out", out)
    command(*arguments)
    assert f"the aligned agent is {out / 'online'}" in capsys.readouterr().out.replace("\n", "")
    policies = [load_policy(out / name / "policy.safetensors")[0] for name in ("sft", "tuned", "online")]
    assert len({trunk_hash(policy) for policy in policies}) == 1  # after imitation, the head alone learns

    text = (out / "report.html").read_text(encoding="utf-8")
    sources = re.findall(r'src="(.{10})', text)
    assert len(sources) == 2 + 4 * (2 + 3)
    assert set(sources) == {"data:image", "data:video"}
    for title in TITLES:
        assert f"<td>{title}</td>" in text
        results = json.loads((out / "evaluation" / title / "results.json").read_text(encoding="utf-8"))
        assert results["episodes"] == 8
    for name in (*STAGES, *(f"evaluation/{title}" for title in TITLES)):
        assert f"<tr><td>{name}</td><td>" in text
    assert "after 8 episodes online" in text  # two updates of 4

    before = files(out)
    command(*arguments)
    assert files(out) == before
    assert not list(out.rglob("*.old-*"))
    assert capsys.readouterr().out.count("made before, from the same settings") == 9
