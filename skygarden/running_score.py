"""What a reward model thinks of an episode while it is played.

The model scores whole episodes only: 100 steps, black after the end. So an episode in play is scored as if it ended
here, the rest filled with what the agent makes of black frames. The model also prefers early ends to late ones, and
there a prefix asks for more than it was taught: an end after three seconds, which no episode has, scores highest
wherever the agent stands. So for its first seven seconds an episode is scored as if it had begun later, its first view
repeated, which is how trajectories are moved in time when the model is trained (`agents.reward.shifted`). At the end
the agent is shown the black frames themselves, and the last value is the score of the whole episode, not a guess.

Mean values after 25, 50, 75 and 100% of 300 episodes that a model for the left pad was not trained on, of those that
reach it and of all others; the true score of whole episodes is 0.72 and 0.20:

    as here                              0.34 0.46 0.66 0.67   0.35 0.40 0.34 0.19
    from the first step as if it ended   0.95 1.03 0.92 0.72   0.93 0.90 0.49 0.20
    the last view repeated to the end    0.02 0.07 0.05 0.14   0.02 0.02 0.01 0.02

Where a curve begins differs from model to model; from half way on it tells. An episode of less than seven seconds ends
with a step up: what its haste is worth.
"""

from typing import Final

import numpy as np
import torch
from torch import Tensor

from agents.encoder import SIDE
from agents.inference import Actor, Decision
from agents.reward import STEPS, RewardArtefact
from envs.episode import Reads
from skygarden.aims import aim_of

SOONEST: Final = 70  # steps, about what successful episodes take: before it, no end is assumed

_ONE: Final = np.ones(1, np.bool_)
_BLACK: Final = np.zeros((1, SIDE, SIDE, 3), np.uint8)


def black_frames(actor: Actor, steps: int, reads: Reads) -> Tensor:
    """What an actor of one environment makes of black frames from where it is now, (steps, width) as episodes keep it.

    Actions are drawn for them as for any frame.
    """
    return torch.cat([torch.empty(0), *(read_of(actor.act(_BLACK), reads) for _ in range(steps))]).half()


def read_of(decision: Decision, reads: Reads) -> Tensor:
    """What a reward model reads of a step, (1, width)."""
    return decision.features if reads == "features" else decision.embeddings


def as_if_it_ended(seen: Tensor, black: Tensor) -> Tensor:
    """The trajectory, (100, width), that an episode of which (t, width) was seen is scored as.

    Args: black: (100, width), of black frames, by step.
    """
    later = max(0, SOONEST - len(seen))
    return torch.cat((seen[:1].expand(later, -1), seen, black[later + len(seen) :]))


class RunningScore:
    """Scores episodes, one after another, while an actor of one environment plays them.

    Args: trunk: the hash of the actor's. actor: its past is forgotten here.
    Raises: CheckpointError: the reward model reads another trunk.
    """

    def __init__(self, reward: RewardArtefact, trunk: str, actor: Actor) -> None:
        wanted: str | None = reward.about.get("wanted")
        self.wanted = aim_of(wanted).title if wanted else None  # where it is known what the answers were about
        self._reward, self._trunk, self._actor = reward, trunk, actor
        actor.reset(_ONE)
        self._black = black_frames(actor, STEPS, reward.reads)
        self._seen = self._black[:0]
        self._score(self._black)  # refuses another trunk before anything is played

    def begin(self) -> None:
        """Forget the episode before."""
        self._seen = self._black[:0]

    def add(self, decision: Decision) -> float:
        """The score with one more step, on which the actor has just decided."""
        self._seen = torch.cat((self._seen, read_of(decision, self._reward.reads).half()))
        return self._score(as_if_it_ended(self._seen, self._black))

    def end(self) -> float:
        """The score of the whole episode; the actor sees black frames up to the time limit."""
        rest = black_frames(self._actor, STEPS - len(self._seen), self._reward.reads)
        return self._score(torch.cat((self._seen, rest)))

    def _score(self, trajectory: Tensor) -> float:
        return float(self._reward.score(trajectory[None], self._trunk))
