"""What the learner asks for."""

from dataclasses import dataclass

from envs.episode import Reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What all episodes of a run have in common."""

    trunk: str  # hash of the trunk's weights
    width: int  # of the embeddings and of the features
    reads: Reads  # of an episode, the reward model
    context: str
    temperature: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Episodes to play at once, all with one head."""

    number: int
    version: int  # of the head
    seeds: tuple[int, ...]
    sampling_seed: int
