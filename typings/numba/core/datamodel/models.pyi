# Models of memory.

from llvmlite.ir import Type as LLVMType
from numba.core.datamodel import DataModelManager
from numba.types import Type

class PrimitiveModel:  # A value that is one LLVM value.
    def __init__(self, manager: DataModelManager, fe_type: Type, be_type: LLVMType) -> None: ...
