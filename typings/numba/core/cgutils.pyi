# Helpers of code generation.

from llvmlite.ir import Function, FunctionType, Module

def get_or_insert_function(module: Module, type: FunctionType, name: str) -> Function: ...
