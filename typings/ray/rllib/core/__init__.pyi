from typing import Final

COMPONENT_LEARNER: Final[str]
COMPONENT_RL_MODULE: Final[str]
DEFAULT_MODULE_ID: Final[str]
