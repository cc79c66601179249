# How numba is taught new functions.

from collections.abc import Callable
from typing import Any, TypeAlias

from llvmlite.ir import IRBuilder, Value
from numba.core.base import BaseContext
from numba.core.typing.templates import Signature
from numba.types import Type

_Codegen: TypeAlias = Callable[[BaseContext, IRBuilder, Signature, list[Value]], Value]

def intrinsic(function: Callable[..., tuple[Signature, _Codegen] | None]) -> Callable[..., Any]: ...
def lower_builtin(operator: object, *args: Type) -> Callable[[Callable[..., Value]], Callable[..., Value]]: ...
def lower_cast(
    source: Type | type[Type], target: Type | type[Type]
) -> Callable[[Callable[..., Value]], Callable[..., Value]]: ...
