from typing import Any

from torch import Tensor

class ValueFunctionAPI:
    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> Tensor: ...
