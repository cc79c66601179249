"""Lets a policy play and shows it, live in a window or as a video, with a reward model's score below if there is one.

The policy sees its own small frames; the large pictures are drawn for people. An episode follows from its seed alone,
whatever was watched before it and whether it is scored.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from agents.checkpoint import trunk_hash
from agents.inference import Actor, ActorConfig
from agents.parallel import one_thread
from agents.reward import load_reward
from envs.errors import OptionError
from envs.skygarden import FPS, SkygardenEnv
from skygarden.policies import named_policy
from skygarden.running_score import RunningScore
from skygarden.score_strip import score_strip
from skygarden.video import write_video
from skygarden.window import show_frames

SIDE: Final = 640  # pixels, of a picture
HELD: Final = 10  # frames for which the end of an episode stays in sight
_IN_A_VIDEO: Final = 3  # episodes, where it is not said how many

Picture = NDArray[np.uint8]


def watch_policy(name: str, out: Path | None, episodes: int | None, seed: int, reward: Path | None) -> None:
    """Show a policy at play until the window is closed, or write a video of some episodes to `out`.

    Args: episodes: after which it is over at the latest. seed: of the first, the others follow by one. reward: a
      reward model's file.
    Raises: OptionError: there is no such policy, or less than one episode. CheckpointError: a file cannot be read, or
      the reward model reads another trunk.
    """
    if seed < 0 or (episodes is not None and episodes < 1):
        raise OptionError(f"watching takes 1 or more episodes and a seed from 0, got {episodes} and {seed}")
    policy = named_policy(name)
    actor = Actor(policy, 1, ActorConfig(), seed=seed)
    env = SkygardenEnv(render_mode="rgb_array", render_size=(SIDE, SIDE))
    with closing(env), one_thread():  # threads that wait for each other make a small policy many times slower
        score = None if reward is None else RunningScore(load_reward(reward), trunk_hash(policy), actor)
        if out is None:
            seeds = count(seed) if episodes is None else range(seed, seed + episodes)
            show_frames(f"Skygarden: {name}", pictures(env, actor, seeds, score), FPS)
            return
        seeds = range(seed, seed + (episodes or _IN_A_VIDEO))
        out.parent.mkdir(parents=True, exist_ok=True)
        write_video(out, pictures(env, actor, seeds, score), FPS)
        print(f"wrote {out}")


def pictures(env: SkygardenEnv, actor: Actor, seeds: Iterable[int], score: RunningScore | None) -> Iterator[Picture]:
    """An actor's episodes from seeds, as people see them; says how each ended."""
    for seed in seeds:
        yield from _episode(env, actor, seed, score)


def _episode(env: SkygardenEnv, actor: Actor, seed: int, score: RunningScore | None) -> Iterator[Picture]:
    """A picture of what each decision is made on, and of the end for a while."""
    frame, info = env.reset(seed=seed)
    actor.reset(np.ones(1, np.bool_))
    actor.seed(seed)
    scores: list[float] = []
    if score:
        score.begin()
    steps, over = 0, False
    while not over:
        decision = actor.act(frame[None])
        if score:
            scores.append(score.add(decision))
        yield _picture(env, score, scores)
        frame, _, terminated, truncated, info = env.step(decision.actions[0])
        steps, over = steps + 1, terminated or truncated
    ending: str = info["jumppad"] or "none"
    if score:
        scores.append(score.end())
    last = _picture(env, score, scores, ending)
    text = f"{ending} pad" if info["jumppad"] else "no pad"
    print(f"seed {seed}: {text} after {steps / FPS:.1f} s" + (f", score {scores[-1]:.2f}" if score else ""))
    for _ in range(HELD):
        yield last


def _picture(env: SkygardenEnv, score: RunningScore | None, scores: list[float], ending: str | None = None) -> Picture:
    """What a person sees now."""
    view = cast("Any", env.render())
    if score is None:
        return view
    title = f"score, wanted: {score.wanted}" if score.wanted else "score"
    return np.concatenate((view, score_strip(SIDE, scores, title, ending)))
