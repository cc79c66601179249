"""Sixteen lanes at a time, for numba kernels.

Numba's loop vectoriser gives up on short spans, on gathers beside stores and on masks, which is all that a rasteriser
does, and on bytes that change places. So kernels say what they mean: a value of type Floats, Ints or Mask is one vector
of 16 lanes, the operators work lane by lane, and a scalar beside a vector is spread over its lanes. LLVM makes of it
what the processor has: one AVX-512 register, two of AVX2, four of SSE.

How these types look to a reader and to a type checker is in `simd.pyi`.
"""

import operator
from collections.abc import Callable
from typing import Final, TypeAlias

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.datamodel import DataModelManager, register_default
from numba.core.datamodel.models import PrimitiveModel
from numba.core.typing.templates import AbstractTemplate, Signature, infer_global, signature
from numba.extending import intrinsic, lower_builtin, lower_cast

LANES: Final = 16
HAS_PERMUTATION: Final = bool(get_host_cpu_features().get("avx512bw"))  # of 32 int16 items, as one instruction
HAS_BYTE_PERMUTATION: Final = bool(get_host_cpu_features().get("avx512vbmi"))  # of 64 bytes

_F32 = ir.FloatType()
_I32 = ir.IntType(32)
_I16 = ir.IntType(16)
_I8 = ir.IntType(8)
_I1 = ir.IntType(1)
_FAST = ("contract", "nsz", "arcp")  # fused multiply-add and reciprocals; infinities and NaN keep their meaning


class _Vector(types.Type):
    """A numba type of 16 lanes."""

    def __init__(self, name: str, element: ir.Type) -> None:
        self.element = element
        super().__init__(name=f"{name}x{LANES}")


Floats = _Vector("float32", _F32)
Ints = _Vector("int32", _I32)
Mask = _Vector("bool", _I1)

_Types: TypeAlias = tuple[types.Type, ...]
_Values: TypeAlias = list[ir.Value]
_Emit: TypeAlias = Callable[[ir.IRBuilder, _Vector, ir.Value, ir.Value], ir.Value]
_Codegen: TypeAlias = Callable[[BaseContext, ir.IRBuilder, Signature, _Values], ir.Value]
_Typed: TypeAlias = tuple[Signature, _Codegen] | None  # of an intrinsic: None where the arguments do not fit


@register_default(_Vector)
class _VectorModel(PrimitiveModel):
    def __init__(self, manager: DataModelManager, fe_type: _Vector) -> None:
        super().__init__(manager, fe_type, ir.VectorType(fe_type.element, LANES))


def _llvm(vector: _Vector) -> ir.VectorType:
    return ir.VectorType(vector.element, LANES)


def _spread(builder: ir.IRBuilder, vector: _Vector, scalar: ir.Value) -> ir.Value:
    empty = ir.Constant(_llvm(vector), ir.Undefined)
    first = builder.insert_element(empty, scalar, _I32(0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES))


@lower_cast(types.Float, Floats)
@lower_cast(types.Integer, Floats)
@lower_cast(types.Float, Ints)
@lower_cast(types.Integer, Ints)
def _cast_scalar(
    context: BaseContext, builder: ir.IRBuilder, fromty: types.Type, toty: _Vector, value: ir.Value
) -> ir.Value:
    scalar = types.float32 if toty is Floats else types.int32
    return _spread(builder, toty, context.cast(builder, value, fromty, scalar))


def _binary(name: str, result_of: dict[_Vector, _Vector], emit: _Emit) -> None:
    """Let an operator take two vectors, or a vector and a scalar."""
    op: object = getattr(operator, name)

    @infer_global(op)
    class Typing(AbstractTemplate):
        def generic(self, args: _Types, kws: dict[str, types.Type]) -> Signature | None:
            vectors = [a for a in args if isinstance(a, _Vector)]
            if not vectors or any(v is not vectors[0] for v in vectors):
                return None
            if any(not isinstance(a, _Vector | types.Float | types.Integer) for a in args):
                return None
            vector = vectors[0]
            result = result_of.get(vector)
            return None if result is None else signature(result, vector, vector)

    for vector in result_of:

        @lower_builtin(op, vector, vector)
        def lower(
            context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values, vector: _Vector = vector
        ) -> ir.Value:
            return emit(builder, vector, args[0], args[1])


_ARITHMETIC = {Floats: Floats, Ints: Ints}
_BITS = {Ints: Ints, Mask: Mask}
_COMPARE = {Floats: Mask, Ints: Mask}


def _add(builder: ir.IRBuilder, vector: _Vector, a: ir.Value, b: ir.Value) -> ir.Value:
    return builder.fadd(a, b, flags=_FAST) if vector is Floats else builder.add(a, b)


def _sub(builder: ir.IRBuilder, vector: _Vector, a: ir.Value, b: ir.Value) -> ir.Value:
    return builder.fsub(a, b, flags=_FAST) if vector is Floats else builder.sub(a, b)


def _mul(builder: ir.IRBuilder, vector: _Vector, a: ir.Value, b: ir.Value) -> ir.Value:
    return builder.fmul(a, b, flags=_FAST) if vector is Floats else builder.mul(a, b)


def _compare(sign: str) -> _Emit:
    def emit(builder: ir.IRBuilder, vector: _Vector, a: ir.Value, b: ir.Value) -> ir.Value:
        return builder.fcmp_ordered(sign, a, b) if vector is Floats else builder.icmp_signed(sign, a, b)

    return emit


_binary("add", _ARITHMETIC, _add)
_binary("sub", _ARITHMETIC, _sub)
_binary("mul", _ARITHMETIC, _mul)
_binary("truediv", {Floats: Floats}, lambda builder, _, a, b: builder.fdiv(a, b, flags=_FAST))
_binary("and_", _BITS, lambda builder, _, a, b: builder.and_(a, b))
_binary("or_", _BITS, lambda builder, _, a, b: builder.or_(a, b))
_binary("lshift", {Ints: Ints}, lambda builder, _, a, b: builder.shl(a, b))
_binary("rshift", {Ints: Ints}, lambda builder, _, a, b: builder.lshr(a, b))
_binary("lt", _COMPARE, _compare("<"))
_binary("le", _COMPARE, _compare("<="))
_binary("gt", _COMPARE, _compare(">"))
_binary("ge", _COMPARE, _compare(">="))


def _call(builder: ir.IRBuilder, name: str, result: ir.Type, args: _Values) -> ir.Value:
    function_type = ir.FunctionType(result, [a.type for a in args])
    function = cgutils.get_or_insert_function(builder.module, function_type, name)
    return builder.call(function, args)


def _pointer(
    context: BaseContext,
    builder: ir.IRBuilder,
    array_type: types.Type,
    array: ir.Value,
    index: ir.Value,
    target: ir.Type,
) -> ir.Value:
    """The address of array[index], as a pointer to `target`; `index` counts items from the start of the data."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), target.as_pointer())


def _array_vector(array: types.Type) -> _Vector | None:
    """The vector that an array of this type holds."""
    if isinstance(array, types.Array) and array.layout == "C":
        if array.dtype == types.float32:
            return Floats
        if array.dtype in (types.int32, types.uint32):
            return Ints
    return None


def _join(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, count: int) -> ir.Value:
    """Two vectors, one behind the other: `count` items."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, count), list(range(count))))


def _holds_bytes(array: types.Type) -> bool:
    return isinstance(array, types.Array) and array.layout == "C" and array.dtype == types.uint8


def _gather(builder: ir.IRBuilder, pointers: ir.Value, vector: _Vector, align: int) -> ir.Value:
    pointers.type = ir.VectorType(ir.PointerType(), LANES)  # llvmlite takes one address for the result of 16
    kind = "f32" if vector is Floats else "i32"
    every = ir.Constant(_llvm(Mask), [1] * LANES)
    rest = ir.Constant(_llvm(vector), ir.Undefined)
    return _call(
        builder, f"llvm.masked.gather.v{LANES}{kind}.v{LANES}p0", _llvm(vector), [pointers, _I32(align), every, rest]
    )


@intrinsic
def spread_float(typingctx: object, value: types.Type) -> _Typed:
    """16 times one number."""

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        return _cast_scalar(context, builder, value, Floats, args[0])

    return Floats(value), codegen


@intrinsic
def spread_int(typingctx: object, value: types.Type) -> _Typed:
    """16 times one integer."""

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        return _cast_scalar(context, builder, value, Ints, args[0])

    return Ints(value), codegen


@intrinsic
def lane_index(typingctx: object) -> _Typed:
    """0, 1, 2 ... 15."""

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        return ir.Constant(_llvm(Ints), list(range(LANES)))

    return Ints(), codegen


@intrinsic
def load(typingctx: object, array: types.Type, index: types.Type) -> _Typed:
    """16 items of an array from `index` on."""
    vector = _array_vector(array)
    if vector is None:
        return None

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        pointer = _pointer(context, builder, array, args[0], args[1], _llvm(vector))
        return builder.load(pointer, align=4, typ=_llvm(vector))

    return vector(array, types.intp), codegen


@intrinsic
def load_quarters(typingctx: object, array: types.Type, index: types.Type) -> _Typed:
    """4 items of an array from `index` on, and 4 each from 16, 32 and 48 items after it."""
    vector = _array_vector(array)
    if vector is None:
        return None

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        quarter = ir.VectorType(vector.element, LANES // 4)
        parts: _Values = []
        for k in range(4):
            place = builder.add(args[1], context.get_constant(types.intp, k * LANES))
            parts.append(builder.load(_pointer(context, builder, array, args[0], place, quarter), align=4, typ=quarter))
        lower, upper = (_join(builder, a, b, LANES // 2) for a, b in (parts[:2], parts[2:]))
        return _join(builder, lower, upper, LANES)

    return vector(array, types.intp), codegen


@intrinsic
def store(typingctx: object, array: types.Type, index: types.Type, value: types.Type) -> _Typed:
    """Set 16 items of an array from `index` on."""
    if _array_vector(array) is not value:
        return None

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        pointer = _pointer(context, builder, array, args[0], args[1], args[2].type)
        builder.store(args[2], pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@intrinsic
def store_selected(
    typingctx: object, array: types.Type, index: types.Type, value: types.Type, mask: types.Type
) -> _Typed:
    """Store the lanes that `mask` holds, packed without gaps; what follows them, up to 16 in all, is overwritten.

    So there must be room for 16. Packed in a register first: packing into memory takes Zen 4 over a hundred cycles.
    """
    vector = _array_vector(array)
    if vector is None or value is not vector or mask is not Mask:
        return None

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        kind = "f32" if vector is Floats else "i32"
        if HAS_PERMUTATION:
            pointer = _pointer(context, builder, array, args[0], args[1], _llvm(vector))
            name = f"llvm.x86.avx512.mask.compress.v{LANES}{kind}"
            packed = _call(builder, name, _llvm(vector), [args[2], ir.Constant(_llvm(vector), None), args[3]])
            builder.store(packed, pointer, align=4)
            return context.get_dummy_value()
        pointer = _pointer(context, builder, array, args[0], args[1], vector.element)
        _call(builder, f"llvm.masked.compressstore.v{LANES}{kind}", ir.VoidType(), [args[2], pointer, args[3]])
        return context.get_dummy_value()

    return types.void(array, types.intp, value, mask), codegen


@intrinsic
def gather(typingctx: object, array: types.Type, index: types.Type) -> _Typed:
    """The items of an array at 16 indices."""
    vector = _array_vector(array)
    if vector is None or index is not Ints:
        return None

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        base = _pointer(context, builder, array, args[0], context.get_constant(types.intp, 0), vector.element)
        return _gather(builder, builder.gep(base, [args[1]], source_etype=vector.element), vector, align=4)

    return vector(array, index), codegen


@intrinsic
def select(typingctx: object, mask: types.Type, yes: types.Type, no: types.Type) -> _Typed:
    """`yes` in the lanes that the mask holds, `no` in the others."""
    if mask is not Mask or not isinstance(yes, _Vector):
        return None

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        return builder.select(*args)

    return yes(mask, yes, yes), codegen


def _minmax(name: str, opcode: str) -> Callable[..., object]:
    @intrinsic
    def function(typingctx: object, a: types.Type, b: types.Type) -> _Typed:
        if a is not Floats and b is not Floats:
            return None

        def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
            return builder.select(builder.fcmp_ordered(opcode, args[0], args[1]), args[0], args[1])

        return Floats(Floats, Floats), codegen

    function.__name__ = name
    return function


minimum = _minmax("minimum", "<")
maximum = _minmax("maximum", ">")


@intrinsic
def unsigned_maximum(typingctx: object, a: types.Type, b: types.Type) -> _Typed:
    """The larger of each pair, read as uint32."""

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        return _call(builder, f"llvm.umax.v{LANES}i32", _llvm(Ints), args)

    return Ints(Ints, Ints), codegen


@intrinsic
def equal(typingctx: object, a: types.Type, b: types.Type) -> _Typed:
    """Which lanes hold the same integer; a type checker would want a bool of an operator."""
    if a is not Ints or b is not Ints:
        return None

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        return builder.icmp_signed("==", args[0], args[1])

    return Mask(Ints, Ints), codegen


def _convert(
    source: _Vector, target: types.Type, emit: Callable[[ir.IRBuilder, ir.Value], ir.Value]
) -> Callable[..., object]:
    @intrinsic
    def function(typingctx: object, value: types.Type) -> _Typed:
        if value is not source:
            return None

        def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
            return emit(builder, args[0])

        return target(source), codegen

    return function


bits = _convert(Floats, Ints, lambda builder, v: builder.bitcast(v, _llvm(Ints)))
from_bits = _convert(Ints, Floats, lambda builder, v: builder.bitcast(v, _llvm(Floats)))
truncate = _convert(Floats, Ints, lambda builder, v: builder.fptosi(v, _llvm(Ints)))
to_floats = _convert(Ints, Floats, lambda builder, v: builder.sitofp(v, _llvm(Floats)))
magnitude = _convert(Floats, Floats, lambda builder, v: _call(builder, f"llvm.fabs.v{LANES}f32", _llvm(Floats), [v]))
mask_bits = _convert(
    Mask,
    types.int64,
    lambda builder, v: builder.zext(builder.bitcast(v, ir.IntType(LANES)), ir.IntType(64)),
)


@intrinsic
def reciprocal(typingctx: object, value: types.Type) -> _Typed:
    """The lanes of 1 / value, which must not be 0: with AVX-512 an estimate and a step of Newton's, half the time."""
    if value is not Floats:
        return None

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        (v,) = args
        one = ir.Constant(_llvm(Floats), [1.0] * LANES)
        if not get_host_cpu_features().get("avx512f"):
            return builder.fdiv(one, v, flags=_FAST)
        zero, every = ir.Constant(_llvm(Floats), [0.0] * LANES), ir.IntType(16)(0xFFFF)
        guess = _call(builder, "llvm.x86.avx512.rcp14.ps.512", _llvm(Floats), [v, zero, every])
        error = builder.fsub(one, builder.fmul(v, guess, flags=_FAST), flags=_FAST)
        return builder.fadd(guess, builder.fmul(guess, error, flags=_FAST), flags=_FAST)

    return Floats(Floats), codegen


@intrinsic
def difference_of_products(typingctx: object, a: types.Type, b: types.Type, c: types.Type, d: types.Type) -> _Typed:
    """The lanes of a * b - c * d, each product rounded: swapping the pairs gives the exact negative."""

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        a, b, c, d = args
        return builder.fsub(builder.fmul(a, b), builder.fmul(c, d))

    return Floats(Floats, Floats, Floats, Floats), codegen


@intrinsic
def trailing_zeros(typingctx: object, value: types.Type) -> _Typed:
    """The place of the lowest bit that is set in an int64 that is not 0."""

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        return _call(builder, "llvm.cttz.i64", ir.IntType(64), [args[0], _I1(1)])

    return types.int64(types.int64), codegen


def _store_rgb(builder: ir.IRBuilder, pointer: ir.Value, octets: ir.Value, order: list[int]) -> None:
    """Store 48 of 64 bytes in some order. With a mask where there are any: of 48 bytes LLVM makes two permutations."""
    if HAS_PERMUTATION:
        shuffle = ir.Constant(ir.VectorType(_I32, 4 * LANES), order + order[:LANES])
        ordered = builder.shuffle_vector(octets, ir.Constant(octets.type, ir.Undefined), shuffle)
        is_stored = ir.Constant(ir.VectorType(_I1, 4 * LANES), [1] * (3 * LANES) + [0] * LANES)
        name = f"llvm.masked.store.v{4 * LANES}i8.p0"
        _call(builder, name, ir.VoidType(), [ordered, pointer, _I32(1), is_stored])
        return
    shuffle = ir.Constant(ir.VectorType(_I32, 3 * LANES), order)
    builder.store(builder.shuffle_vector(octets, ir.Constant(octets.type, ir.Undefined), shuffle), pointer, align=1)


@intrinsic
def store_rgb(typingctx: object, image: types.Type, index: types.Type, packed: types.Type) -> _Typed:
    """Write 16 pixels 0x00BBGGRR as 48 bytes R G B R G B ..."""
    if packed is not Ints or not _holds_bytes(image):
        return None

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        pointer = _pointer(context, builder, image, args[0], args[1], ir.VectorType(_I8, 3 * LANES))
        raw = builder.bitcast(args[2], ir.VectorType(_I8, 4 * LANES))
        order = [4 * (k // 3) + k % 3 for k in range(3 * LANES)]
        _store_rgb(builder, pointer, raw, order)
        return context.get_dummy_value()

    return types.void(image, types.intp, packed), codegen


@intrinsic
def load_rgb(typingctx: object, image: types.Type, index: types.Type) -> _Typed:
    """Read 48 bytes R G B R G B ... as 16 pixels 0x00BBGGRR."""
    if not _holds_bytes(image):
        return None

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        # Four loads that overlap and a shuffle inside each: of one shuffle of 48 bytes LLVM makes moves of single ones.
        part = ir.VectorType(_I8, LANES)
        parts: _Values = []
        for first in (0, 12, 24, 32):
            place = builder.add(args[1], context.get_constant(types.intp, first))
            parts.append(builder.load(_pointer(context, builder, image, args[0], place, part), align=1, typ=part))
        lower, upper = (_join(builder, a, b, 2 * LANES) for a, b in (parts[:2], parts[2:]))
        joined = _join(builder, lower, upper, 4 * LANES)
        starts = [16 * (k // 4) + 3 * (k % 4) + (4 if k >= 12 else 0) for k in range(LANES)]
        order = [start + c if c < 3 else 4 * LANES for start in starts for c in range(4)]
        shuffle = ir.Constant(ir.VectorType(_I32, 4 * LANES), order)
        packed = builder.shuffle_vector(joined, ir.Constant(joined.type, [0] * (4 * LANES)), shuffle)
        return builder.bitcast(packed, _llvm(Ints))

    return Ints(image, types.intp), codegen


@intrinsic
def store_clipped(
    typingctx: object, image: types.Type, index: types.Type, red: types.Type, green: types.Type, blue: types.Type
) -> _Typed:
    """Write 16 pixels as 48 bytes R G B R G B ..., colours below 0 as 0 and beyond 255 as 255."""
    if not _holds_bytes(image) or not red is green is blue is Ints:
        return None

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        pointer = _pointer(context, builder, image, args[0], args[1], ir.VectorType(_I8, 3 * LANES))
        if HAS_PERMUTATION:  # which narrows within each quarter of a register: four reds, four greens, four blues
            shorts, octets = ir.VectorType(_I16, 2 * LANES), ir.VectorType(_I8, 4 * LANES)
            first = _call(builder, "llvm.x86.avx512.packssdw.512", shorts, [args[2], args[3]])
            second = _call(builder, "llvm.x86.avx512.packssdw.512", shorts, [args[4], args[4]])
            packed = _call(builder, "llvm.x86.avx512.packuswb.512", octets, [first, second])
            order = [16 * (k // 4) + 4 * c + k % 4 for k in range(LANES) for c in range(3)]
        else:
            low, high = (ir.Constant(_llvm(Ints), [limit] * LANES) for limit in (0, 255))
            parts: _Values = []
            for value in args[2:]:
                least = _call(builder, f"llvm.smax.v{LANES}i32", _llvm(Ints), [value, low])
                clipped = _call(builder, f"llvm.smin.v{LANES}i32", _llvm(Ints), [least, high])
                parts.append(builder.trunc(clipped, ir.VectorType(_I8, LANES)))
            pairs = (_join(builder, parts[0], parts[1], 2 * LANES), _join(builder, parts[2], parts[2], 2 * LANES))
            packed = _join(builder, *pairs, 4 * LANES)
            order = [LANES * c + k for k in range(LANES) for c in range(3)]
        _store_rgb(builder, pointer, packed, order)
        return context.get_dummy_value()

    return types.void(image, types.intp, red, green, blue), codegen


def _gather_neighbours(builder: ir.IRBuilder, base: ir.Value, index: ir.Value) -> ir.Value:
    """The bytes at 16 indices in the lower halves, those three on in the upper: what a gather of four bytes holds."""
    found = _gather(builder, builder.gep(base, [index], source_etype=_I8), Ints, align=1)
    last = builder.lshr(found, ir.Constant(_llvm(Ints), [8] * LANES))
    masks = [ir.Constant(_llvm(Ints), [mask] * LANES) for mask in (0xFF, 0xFF0000)]
    return builder.or_(builder.and_(found, masks[0]), builder.and_(last, masks[1]))


@intrinsic
def gather_neighbours(typingctx: object, image: types.Type, start: types.Type, index: types.Type) -> _Typed:
    """Of bytes R G B R G B ... from `start` on, those at 16 indices; in the upper halves the next pixels'."""
    if index is not Ints or not _holds_bytes(image):
        return None

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        return _gather_neighbours(builder, _pointer(context, builder, image, args[0], args[1], _I8), args[2])

    return Ints(image, types.intp, index), codegen


@intrinsic
def permute_neighbours(typingctx: object, image: types.Type, start: types.Type, index: types.Type) -> _Typed:
    """As `gather_neighbours` of the 63 bytes from `start` on: a load and a permutation with AVX-512, else a gather.

    Args: index: the bytes k, 63, k + 3, 63 in each lane, k + 3 less than 63; byte 63 is read as 0.
    """
    if index is not Ints or not _holds_bytes(image):
        return None

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        if not HAS_BYTE_PERMUTATION:
            base = _pointer(context, builder, image, args[0], args[1], _I8)
            return _gather_neighbours(builder, base, builder.and_(args[2], ir.Constant(_llvm(Ints), [0xFF] * LANES)))
        octets = ir.VectorType(_I8, 4 * LANES)
        pointer = _pointer(context, builder, image, args[0], args[1], octets)
        is_read = ir.Constant(ir.VectorType(_I1, 4 * LANES), [1] * 63 + [0])
        name = f"llvm.masked.load.v{4 * LANES}i8.p0"
        near = _call(builder, name, octets, [pointer, _I32(1), is_read, ir.Constant(octets, None)])
        order = builder.bitcast(args[2], octets)
        return builder.bitcast(_call(builder, "llvm.x86.avx512.permvar.qi.512", octets, [near, order]), _llvm(Ints))

    return Ints(image, types.intp, index), codegen


@intrinsic
def shift_right(typingctx: object, value: types.Type, amount: types.Type) -> _Typed:
    """The lanes' integers over a power of two, rounded down."""
    if value is not Ints or not isinstance(amount, types.Integer):
        return None

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        return builder.ashr(args[0], _cast_scalar(context, builder, amount, Ints, args[1]))

    return Ints(value, amount), codegen


@intrinsic
def dot_pairs(typingctx: object, a: types.Type, b: types.Type) -> _Typed:
    """The lanes' lower halves multiplied, plus the upper halves multiplied, all of them int16; one instruction."""
    if a is not Ints or b is not Ints:
        return None

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        shorts = ir.VectorType(_I16, 2 * LANES)
        if HAS_PERMUTATION:
            a, b = (builder.bitcast(arg, shorts) for arg in args)
            return _call(builder, "llvm.x86.avx512.pmaddw.d.512", _llvm(Ints), [a, b])
        products: _Values = []
        for half in range(2):
            order = ir.Constant(_llvm(Ints), [2 * k + half for k in range(LANES)])
            a, b = (builder.bitcast(arg, shorts) for arg in args)
            a, b = (builder.sext(builder.shuffle_vector(each, each, order), _llvm(Ints)) for each in (a, b))
            products.append(builder.mul(a, b))
        return builder.add(*products)

    return Ints(Ints, Ints), codegen


@intrinsic
def take(typingctx: object, counter: types.Type, amount: types.Type) -> _Typed:
    """Add to counter[0], an int64, and return what it was, with no other thread in between."""
    if not isinstance(counter, types.Array) or counter.dtype != types.int64 or not isinstance(amount, types.Integer):
        return None

    def codegen(context: BaseContext, builder: ir.IRBuilder, sig: Signature, args: _Values) -> ir.Value:
        data = context.make_array(counter)(context, builder, args[0]).data
        return builder.atomic_rmw("add", data, args[1], "monotonic")

    return types.int64(counter, types.int64), codegen
