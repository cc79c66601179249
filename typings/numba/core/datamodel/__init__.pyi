# How numba's types lie in memory.

from collections.abc import Callable
from typing import TypeVar

from numba.core.datamodel.models import PrimitiveModel
from numba.types import Type

_T = TypeVar("_T", bound=type[PrimitiveModel])

class DataModelManager: ...  # All models.

def register_default(type: type[Type]) -> Callable[[_T], _T]: ...
