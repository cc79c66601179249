# The types that numba gives to values.

from typing import Any

from numba.core.typing.templates import Signature

class Type:  # Calling a type makes the signature that returns it.
    def __init__(self, name: str) -> None: ...
    def __call__(self, *args: Type) -> Signature: ...

class Float(Type): ...
class Integer(Type): ...

class Array(Type):  # An array type.
    dtype: Any
    layout: str

float32: Float
int16: Integer
int32: Integer
uint8: Integer
uint32: Integer
int64: Integer
intp: Integer
void: Type
