from typing import Final

ENV_RUNNER_RESULTS: Final[str]
LEARNER_RESULTS: Final[str]
NUM_ENV_STEPS_SAMPLED_LIFETIME: Final[str]
TIMERS: Final[str]
