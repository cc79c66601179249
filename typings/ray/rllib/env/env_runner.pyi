from typing import Any

class EnvRunner:
    config: Any
    def __init__(self, *, config: Any, **kwargs: Any) -> None: ...
