# How numba finds the type of a call's result.

from collections.abc import Callable
from typing import TypeVar

from numba.types import Type

_T = TypeVar("_T", bound=type[AbstractTemplate])

class Signature: ...  # Types of arguments and result.
class AbstractTemplate: ...  # A rule that gives a call its signature.

def signature(result: Type, *args: Type) -> Signature: ...
def infer_global(value: object) -> Callable[[_T], _T]: ...
