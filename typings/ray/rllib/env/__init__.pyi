from typing import Final

INPUT_ENV_SPACES: Final[str]
