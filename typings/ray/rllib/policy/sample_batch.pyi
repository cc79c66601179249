from collections.abc import Mapping
from typing import Any

class SampleBatch(dict[str, Any]):
    def __init__(self, columns: Mapping[str, Any]) -> None: ...

class MultiAgentBatch:
    def __init__(self, policy_batches: Mapping[str, SampleBatch], env_steps: int) -> None: ...
