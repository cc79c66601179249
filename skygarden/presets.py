"""Settings of every stage, by preset: the paper's, one for a machine with two cores, and one for a quick check."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Final, Literal

from agents.augment import VPT, AugmentConfig
from agents.data import LoaderConfig
from agents.head_tuning import HeadTuningConfig
from agents.imitation import FINETUNE, PRETRAIN, ImitationConfig
from agents.reinforce import ReinforceConfig
from agents.reward import RewardConfig
from envs.episode import Reads
from envs.standin.replay import DIRECT, Sight
from rollout.learner import OnlineConfig
from rollout.rllib.settings import PpoSettings

Name = Literal["paper", "laptop", "smoke"]

# What fine-tuning may keep of its frames: 300 trajectories, read hundreds of times, have 1.1 GB of them. It changes
# nothing that is learnt, so it is not among what makes a stage this one. Pre-training reads a frame about once: none.
KEPT: Final = 2 << 30  # bytes

# In a window frames are drawn larger and shrunk, and an action comes one or two ticks of a game after its own. An agent
# that is to play in one learns from such frames as well.
THROUGH_A_WINDOW: Final = (DIRECT, Sight(late=1, drawn=480), Sight(late=2, drawn=480))


@dataclass(frozen=True, kw_only=True)
class Pretrain:
    """Imitation of many people at play."""

    hours: float  # of gameplay, recorded where there is less
    training: ImitationConfig
    augment: AugmentConfig = VPT
    held_out: float = 0.02  # share of the matches that is not learnt from
    held_out_windows: int = 512  # drawn from it to measure the loss, at every checkpoint


@dataclass(frozen=True, kw_only=True)
class Finetune:
    """Imitation of what a good run of the task looks like."""

    training: ImitationConfig
    scratch: ImitationConfig  # for a policy that was not pre-trained
    augment: AugmentConfig = VPT
    character: str = "ninja"
    per_pad: int = 100  # trajectories to each pad
    sights: tuple[Sight, ...] = (DIRECT,)  # of which trajectories take turns
    hours: float = 8.0  # of that character's gameplay to find them in, recorded where there is less
    held_out_per_pad: int = 10  # more, not learnt from
    held_out_windows: int = 256


@dataclass(frozen=True, kw_only=True)
class RewardStage:
    """A reward model from comparisons of collected episodes."""

    trajectories: int = 1000  # that may be compared; the others are the test
    comparisons: int | None = None  # that the synthetic designer makes, of pairs drawn at random; None is all pairs
    reads: Reads = "features"  # of what the agent makes of a trajectory
    training: RewardConfig = field(default_factory=RewardConfig)


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Preference fine-tuning of the head."""

    share: float = 0.2  # of the trajectories, those that score best
    training: HeadTuningConfig = field(default_factory=HeadTuningConfig)


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One value a stage."""

    size: str
    pretrain: Pretrain
    finetune: Finetune
    reward: RewardStage
    tuning: Tuning
    online: OnlineConfig
    collected: int = 2400  # episodes to compare
    evaluated: int = 1000  # episodes of every stage's agent


def changed(training: ImitationConfig, updates: int | None, learning_rate: float | None) -> ImitationConfig:
    """Settings with another number of updates or learning rate, where one is given."""
    given = {"updates": updates, "learning_rate": learning_rate}
    return replace(training, **{name: value for name, value in given.items() if value is not None})


def online_settings(config: OnlineConfig, seed: int, changes: Mapping[str, Any]) -> OnlineConfig:
    """Settings with a seed and what else is given for fields of OnlineConfig or ReinforceConfig; None is not."""
    given = {name: value for name, value in changes.items() if value is not None}
    ours = {field.name for field in fields(OnlineConfig)}
    reinforce = replace(config.reinforce, **{name: value for name, value in given.items() if name not in ours})
    return replace(
        config, reinforce=reinforce, seed=seed, **{name: value for name, value in given.items() if name in ours}
    )


def loader(
    training: ImitationConfig, augment: AugmentConfig | None, context: int, seed: int, memory: int = 0
) -> LoaderConfig:
    """How the batches of a stage are drawn, with so many bytes of frames kept."""
    return LoaderConfig(batch_size=training.batch_size, length=context, augment=augment, seed=seed, memory=memory)


PAPER: Final = Preset(
    size="103m",
    pretrain=Pretrain(hours=9875, training=PRETRAIN, held_out=0.001),
    finetune=Finetune(training=FINETUNE, scratch=replace(FINETUNE, updates=20_000, learning_rate=1e-4, warm_up=1000)),
    reward=RewardStage(training=RewardConfig(epochs=50)),
    tuning=Tuning(),
    online=OnlineConfig(),
)

# A 4-million-parameter network on two cores sees a hundredth of the paper's frames, once, so it learns faster and the
# rate falls to 0. Colours move less than in VPT: there is one world, and no time to learn its colours out. Fine-tuning
# sees its 300 trajectories some 25 times: there the mean of the weights at a rate that stays reaches a pad more often
# than the last weights of a rate that falls.
_CALM: Final = AugmentConfig(hue=0.05, saturation=0.1, brightness=0.1, contrast=0.1)
_LAPTOP: Final = ImitationConfig(
    updates=3000,
    batch_size=32,
    micro_batch=16,
    learning_rate=1e-3,
    schedule="cosine",
    warm_up=100,
    checkpoint_every=150,
)
_TUNED: Final = replace(_LAPTOP, updates=500, schedule="constant", averaging=3.0, warm_up=20, checkpoint_every=100)
_QUICK_REWARD: Final = RewardConfig(batch_size=100, fill=True, learning_rate=1e-3, most_updates=1000, shift=10)
LAPTOP: Final = Preset(
    size="4m",
    pretrain=Pretrain(hours=100, training=_LAPTOP, augment=_CALM),
    finetune=Finetune(
        training=replace(_TUNED, learning_rate=5e-4),
        scratch=_TUNED,
        augment=_CALM,
    ),
    reward=RewardStage(comparisons=10_000, reads="embeddings", training=_QUICK_REWARD),
    tuning=Tuning(training=HeadTuningConfig(updates=200, batch_size=4096, learning_rate=1e-4)),
    online=OnlineConfig(
        updates=150,
        reinforce=ReinforceConfig(learning_rate=1.5e-4, baseline="value", passes=4),
        schedule="linear",
    ),
)

_SMOKE: Final = replace(_LAPTOP, updates=4, batch_size=4, micro_batch=2, warm_up=1, checkpoint_every=2)
SMOKE: Final = Preset(
    size="4m",
    pretrain=Pretrain(hours=0.25, training=_SMOKE, augment=_CALM, held_out=0.34, held_out_windows=4),
    finetune=Finetune(
        training=replace(_SMOKE, averaging=3.0),
        scratch=_SMOKE,
        augment=_CALM,
        per_pad=1,
        hours=0.5,
        held_out_per_pad=1,
        held_out_windows=4,
    ),
    reward=RewardStage(trajectories=8, reads="embeddings", training=RewardConfig(epochs=3)),
    tuning=Tuning(training=HeadTuningConfig(updates=2, batch_size=64)),
    online=OnlineConfig(updates=2, reinforce=ReinforceConfig(batch_size=4), checkpoint_every=1),
    collected=16,
    evaluated=8,
)

PRESETS: Final[Mapping[Name, Preset]] = MappingProxyType({"paper": PAPER, "laptop": LAPTOP, "smoke": SMOKE})

# Reinforcement learning from scratch is no part of the paper's method, but what it is compared with.
PPO: Final[Mapping[str, PpoSettings]] = MappingProxyType(
    {
        "laptop": PpoSettings(),
        "smoke": PpoSettings(steps=512, environments=4, batch_size=256, minibatch_size=128, epochs=1),
    }
)
