"""How RLlib's PPO learns from scratch; apart from what needs Ray, so that settings can be listed without it."""

from dataclasses import dataclass

from envs.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class PpoSettings:
    """PPO's settings. The defaults are those that are usual for Atari games, for two cores and 16 buttons and axes."""

    steps: int = 200_000  # of the environment, 0.1 s each, in all
    environments: int = 16  # at once
    batch_size: int = 2048  # steps an update
    minibatch_size: int = 256
    epochs: int = 4  # over a batch
    learning_rate: float = 2.5e-4
    discount: float = 0.99  # a step; a pad is 60 to 90 steps away
    trace: float = 0.95  # of generalised advantage estimation
    clip: float = 0.2  # how far from 1 the ratio of chances may go
    value: float = 0.5  # weight of the value function's loss
    entropy: float = 0.001  # weight of a nat of entropy, of which there are up to 18 an action
    gradient: float = 0.5  # largest norm of the gradient
    checkpoint_every: int = 10  # updates

    def __post_init__(self) -> None:
        counts = (self.steps, self.environments, self.batch_size, self.minibatch_size, self.epochs)
        if min(*counts, self.checkpoint_every) < 1 or self.minibatch_size > self.batch_size:
            raise OptionError(f"PPO takes counts of 1 or more, and minibatches no larger than a batch, got {self}")
        if min(self.learning_rate, self.clip, self.gradient) <= 0 or not 0 < self.discount <= 1:
            raise OptionError(f"PPO takes rate, clip, gradient above 0 and a discount up to 1, got {self}")
