from collections.abc import Mapping
from typing import Any

class RLModule:
    model_config: dict[str, Any]
    action_dist_cls: type | None
    def setup(self) -> None: ...

class RLModuleSpec:
    def __init__(self, *, module_class: type[RLModule], model_config: Mapping[str, Any] = ...) -> None: ...
