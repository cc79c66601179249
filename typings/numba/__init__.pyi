# What Skygarden uses of numba, typed: numba says that it is typed and annotates next to nothing.

from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

from numba import types as types

_P = ParamSpec("_P")
_R = TypeVar("_R")

class Dispatcher(Generic[_P, _R]):  # A function that compiles itself when it meets new argument types.
    signatures: list[Any]

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...

def njit(
    *, nogil: bool = ..., error_model: str = ..., forceinline: bool = ..., cache: bool = ...
) -> Callable[[Callable[_P, _R]], Dispatcher[_P, _R]]: ...
