"""Laws of evaluation: what is counted, how sure one can be of it, and that films show what was seen."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from agents.checkpoint import load_policy, trunk_hash
from agents.inference import ActorConfig
from envs.backend import JUMPPADS, Start
from envs.episode import Ending, Episode
from envs.errors import OptionError
from envs.gamepad import SIZES
from envs.skygarden import SkygardenEnv
from envs.standin.characters import NAMES
from envs.standin.gameplay import record_match
from envs.standin.replay import ReplayReader
from rollout.store import read_episodes
from skygarden.evaluate import evaluate, summarise, wilson
from skygarden.film import film, replay_of
from skygarden.playing import Rollouts, collect_to, play

AHEAD = [0] * 12 + [5, 10, 5, 5]
PICTURES = ("pads.png", "trajectories.png", "heat.png")

RANDOM = Rollouts(policy="random", episodes=5, environments=3)


@pytest.fixture(scope="module")
def env() -> Iterator[SkygardenEnv]:
    """An environment as `evaluate` makes many."""
    made = SkygardenEnv()
    yield made
    made.close()


def played(env: SkygardenEnv, start: Start, actions: NDArray[np.uint8]) -> tuple[Episode, NDArray[np.uint8]]:
    """An episode, and what the environment showed before each of its steps."""
    frame, info = env.reset(options={"spawn": start.spawn, "character": start.character, "skin": start.skin})
    frames, positions, ending = [frame.copy()], [info["position"]], Ending.TRUNCATED
    for action in actions:
        frame, _, terminated, _, info = env.step(action)
        frames.append(frame.copy())
        positions.append(info["position"])
        if terminated:
            ending = Ending.TERMINATED
            break
    steps = len(positions) - 1
    return recorded(start, actions[:steps], np.array(positions), ending, info["jumppad"]), np.array(frames[:-1])


def recorded(
    start: Start, actions: NDArray[np.uint8], positions: NDArray[Any], ending: Ending, jumppad: str | None
) -> Episode:
    """An episode of an agent without features."""
    steps = len(actions)
    return Episode(
        seed=0,
        start=start,
        actions=actions,
        log_probs=np.zeros(steps, np.float32),
        embeddings=np.zeros((steps, 0), np.float16),
        features=np.zeros((steps, 0), np.float16),
        positions=positions.astype(np.float32),
        ending=ending,
        jumppad=jumppad,
    )


def ended(spawn: int, pad: str | None, steps: int) -> Episode:
    """An episode of which only the outcome matters."""
    ending = Ending.TERMINATED if pad else Ending.TRUNCATED
    places = np.zeros((steps + 1, 3))
    return recorded(Start(spawn, "ninja", 0), np.zeros((steps, 16), np.uint8), places, ending, pad)


def frames_of(video: Path) -> list[NDArray[Any]]:
    """A video's frames, (height, width, 3) each."""
    with av.open(str(video)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


# Numbers


def test_an_interval_holds_its_share_whatever_the_rounding() -> None:
    for total in range(1, 1200):
        for hits in (0, 1, total - 1, total):
            low, high = wilson(hits, total)
            assert 0 <= low <= hits / total <= high <= 1


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),  # z^2 / (n + z^2) = 3.8415 / 13.8415
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (2, 10, 0.0567, 0.5098),
        (0, 1, 0.0, 0.7935),
        (1, 1, 0.2065, 1.0),
        (500, 1000, 0.4691, 0.5309),
    ],
)
def test_the_interval_of_a_share_is_wilsons(hits: int, total: int, low: float, high: float) -> None:
    assert wilson(hits, total) == pytest.approx((low, high), abs=5e-5)


def test_an_interval_holds_its_share_and_stays_between_none_and_all() -> None:
    for total in (1, 2, 7, 100):
        for hits in range(total + 1):
            low, high = wilson(hits, total)
            assert 0 <= low <= hits / total <= high <= 1
            assert wilson(total - hits, total) == pytest.approx((1 - high, 1 - low))


def test_outcomes_are_counted_by_pad_in_all_and_by_spawn() -> None:
    reached = [(0, "left", 60), (0, "left", 70), (1, "middle", 80), (3, "middle", 90), (3, "middle", 61)]
    outcomes = [*reached, (2, "right", 50), (0, None, 100), (2, None, 100), (2, None, 100), (3, None, 100)]
    results = summarise([ended(*outcome) for outcome in outcomes], RANDOM)
    assert [results[key] for key in ("episodes", "left", "middle", "right", "none")] == [10, 2, 3, 1, 4]
    assert [list(row.values()) for row in results["by_spawn"]] == [
        [3, 2, 0, 0, 1],
        [1, 0, 1, 0, 0],
        [3, 0, 0, 1, 2],
        [3, 0, 2, 0, 1],
    ]
    assert list(results["by_spawn"][0]) == ["episodes", "left", "middle", "right", "none"]
    shares = {pad: share["share"] for pad, share in results["shares"].items()}
    assert shares == {"left": 0.2, "middle": 0.3, "right": 0.1, "none": 0.4}
    left, success = results["shares"]["left"], results["success"]
    assert (left["low"], left["high"]) == pytest.approx((0.0567, 0.5098), abs=5e-5)
    assert success["share"] == 0.6
    assert (success["low"], success["high"]) == pytest.approx((0.3127, 0.8318), abs=5e-5)
    assert results["median_steps_to_a_pad"] == 65.5  # of 50, 60, 61, 70, 80, 90
    assert (results["settings"]["policy"], results["settings"]["acting"]["context"]) == ("random", "chunked")
    assert json.loads(json.dumps(results)) == results


def test_where_nobody_reaches_a_pad_there_is_no_median() -> None:
    assert summarise([ended(0, None, 100)], RANDOM)["median_steps_to_a_pad"] is None


# Films


@pytest.mark.parametrize("start", [Start(0, "ninja", 0), Start(3, NAMES[5], 2), Start(1, NAMES[-1], 1)], ids=str)
def test_a_film_shows_what_the_environment_showed_bit_for_bit(env: SkygardenEnv, start: Start) -> None:
    actions = np.random.default_rng(start.spawn).integers(0, SIZES, (100, 16), np.uint8)
    actions[10:60, 13] = 10  # onwards, and whatever the other hands do
    episode, frames = played(env, start, actions)
    assert len(episode) == 100
    assert np.array_equal(film(episode), frames)


def test_the_replay_of_an_episode_holds_its_start_its_actions_and_its_pad(env: SkygardenEnv) -> None:
    match = record_match(seed=1, index=0, character="ninja")
    skin = match.skin
    lives = zip(match.lives.tolist(), match.jumppads.tolist(), strict=True)
    (begin, spawn), (end, pad) = next((life, hit) for life, hit in lives if 0 <= hit[0] - life[0] < 100)
    episode, frames = played(env, Start(spawn, "ninja", skin), match.actions[begin : begin + 100])
    assert (episode.jumppad, len(episode)) == (JUMPPADS[pad], end - begin + 1)
    replay = replay_of(episode)
    assert np.array_equal(replay.actions, match.actions[begin : end + 1])
    assert (replay.lives.tolist(), replay.jumppads.tolist()) == ([[0, spawn]], [[end - begin, pad]])
    assert (replay.character, replay.skin) == (NAMES.index("ninja"), skin)
    assert np.array_equal(film(episode), frames)
    assert np.array_equal(ReplayReader(match).window(begin, len(episode))[0], frames)  # and the match showed the same


# Whole evaluations


def test_an_evaluation_leaves_results_pictures_and_videos(tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    results = evaluate(RANDOM, out, videos=2)
    written = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert written == results
    assert written.keys() >= {"episodes", "left", "middle", "right", "none", "settings"}
    assert written["episodes"] == 5 == sum(written[pad] for pad in (*JUMPPADS, "none"))
    for key in ("episodes", *JUMPPADS, "none"):
        assert sum(row[key] for row in written["by_spawn"]) == written[key]
    assert sum(share["share"] for share in written["shares"].values()) == pytest.approx(1)
    assert (written["settings"]["episodes"], written["settings"]["seed"]) == (5, 0)
    for name in PICTURES:
        picture = cv2.imread(str(out / name))
        assert picture is not None
        assert min(picture.shape[:2]) > 300
    episodes = play(RANDOM)
    videos = sorted(out.glob("*.mp4"))
    assert [video.name for video in videos] == [
        f"episode-{k:02d}-{episodes[k].jumppad or 'none'}.mp4" for k in range(2)
    ]
    frames = frames_of(videos[0])
    assert len(frames) == len(episodes[0])
    for shown, seen in zip(frames[::30], film(episodes[0])[::30], strict=True):
        assert shown.shape == (512, 512, 3)
        small = shown.reshape(128, 4, 128, 4, 3).mean((1, 3))
        assert np.abs(small - seen).mean() < 8  # of 255: it is compressed
    assert {path.name for path in out.iterdir()} == {*PICTURES, "results.json", *(video.name for video in videos)}


def test_an_evaluation_takes_the_place_of_the_one_before_it(tmp_path: Path) -> None:
    for name in ("results.json", "episode-00-left.mp4", "episode-05-none.mp4", "pads.png", "notes.txt"):
        (tmp_path / name).write_text("of the one before", encoding="utf-8")
    evaluate(replace(RANDOM, episodes=1), tmp_path, videos=0)
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["episodes"] == 1
    assert {path.name for path in tmp_path.iterdir()} == {*PICTURES, "results.json", "notes.txt"}
    assert cv2.imread(str(tmp_path / "pads.png")) is not None


def test_an_evaluation_follows_from_its_seed() -> None:
    def drawn(seed: int) -> list[tuple[Start, bytes]]:
        return [(e.start, e.actions.tobytes()) for e in play(replace(RANDOM, seed=seed))]

    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)


@pytest.mark.parametrize("context", ["window", "chunked"])
def test_the_policy_is_who_plays(walker: Path, context) -> None:
    settings = Rollouts(policy=str(walker), episodes=2, acting=ActorConfig(context=context))
    episodes = play(settings)
    assert len(episodes) == 2
    for episode in episodes:
        assert (episode.actions == AHEAD).all()


def test_a_policy_that_is_not_there_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="there is no policy 'nobody'"):
        evaluate(Rollouts(policy="nobody"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("wrong", [{"episodes": 0}, {"environments": 0}, {"seed": -1}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(OptionError, match="1 or more episodes and environments"):
        replace(RANDOM, **wrong)


def test_fewer_than_no_videos_are_refused_before_anybody_plays(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="0 or more videos, got -1"):
        evaluate(RANDOM, tmp_path, videos=-1)


def test_episodes_are_kept_padded_and_with_who_played_them(walker: Path, tmp_path: Path) -> None:
    out = tmp_path / "kept" / "episodes.safetensors"
    collect_to(Rollouts(policy=str(walker), episodes=3, seed=5, environments=2), out)
    episodes, about = read_episodes(out)
    assert [episode.seed for episode in episodes] == [5, 6, 7]
    assert {episode.features.shape for episode in episodes} == {(100, 32)}
    assert about["trunk"] == trunk_hash(load_policy(walker)[0])
    assert (about["policy"], about["acting"]["context"], about["acting"]["temperature"]) == (
        str(walker),
        "chunked",
        1.0,
    )
    with pytest.raises(OptionError, match="need a policy"):
        collect_to(RANDOM, out)
