"""Sixteen lanes at a time, for numba kernels.

Numba's loop vectoriser gives up on short spans, on gathers beside stores and on masks, which is all that a rasteriser
does. So kernels here say what they mean: a value of type Floats, Ints or Mask is one vector of 16 lanes, the operators
work lane by lane, and a scalar beside a vector is spread over its lanes. LLVM makes of it what the processor has:
one AVX-512 register, two of AVX2, four of SSE.

How these types look to a reader and to a type checker is in `simd.pyi`.
"""

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import register_default
from numba.core.datamodel.models import PrimitiveModel
from numba.core.typing.templates import AbstractTemplate, signature
from numba.extending import intrinsic, lower_builtin, lower_cast, typeof_impl  # noqa: F401
from numba.core.typing.templates import infer_global

LANES = 16

_F32 = ir.FloatType()
_I32 = ir.IntType(32)
_I1 = ir.IntType(1)
_FAST = ("contract", "nsz", "arcp")  # fused multiply-add and reciprocals; infinities and NaN keep their meaning


class _Vector(types.Type):
    """A numba type of 16 lanes."""

    def __init__(self, name, element):
        self.element = element
        super().__init__(name=f"{name}x{LANES}")


Floats = _Vector("float32", _F32)
Ints = _Vector("int32", _I32)
Mask = _Vector("bool", _I1)


@register_default(_Vector)
class _VectorModel(PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, ir.VectorType(fe_type.element, LANES))


def _llvm(vector):
    return ir.VectorType(vector.element, LANES)


def _constant(vector, value):
    return ir.Constant(_llvm(vector), [value] * LANES)


def _spread(builder, vector, scalar):
    empty = ir.Constant(_llvm(vector), ir.Undefined)
    first = builder.insert_element(empty, scalar, _I32(0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES))


@lower_cast(types.Float, Floats)
@lower_cast(types.Integer, Floats)
@lower_cast(types.Float, Ints)
@lower_cast(types.Integer, Ints)
def _cast_scalar(context, builder, fromty, toty, value):
    scalar = types.float32 if toty is Floats else types.int32
    return _spread(builder, toty, context.cast(builder, value, fromty, scalar))


def _binary(op, result_of, emit):
    """Let `op` take two vectors, or a vector and a scalar."""

    @infer_global(op)
    class _Typing(AbstractTemplate):
        def generic(self, args, kws):
            vectors = [a for a in args if isinstance(a, _Vector)]
            if not vectors or any(v is not vectors[0] for v in vectors):
                return None
            if any(not isinstance(a, (_Vector, types.Float, types.Integer)) for a in args):
                return None
            vector = vectors[0]
            result = result_of.get(vector)
            return None if result is None else signature(result, vector, vector)

    for vector in result_of:

        @lower_builtin(op, vector, vector)
        def _lower(context, builder, sig, args, vector=vector):
            return emit(builder, vector, *args)

    return _Typing


_ARITHMETIC = {Floats: Floats, Ints: Ints}
_BITS = {Ints: Ints, Mask: Mask}
_COMPARE = {Floats: Mask, Ints: Mask}


def _add(builder, vector, a, b):
    return builder.fadd(a, b, flags=_FAST) if vector is Floats else builder.add(a, b)


def _sub(builder, vector, a, b):
    return builder.fsub(a, b, flags=_FAST) if vector is Floats else builder.sub(a, b)


def _mul(builder, vector, a, b):
    return builder.fmul(a, b, flags=_FAST) if vector is Floats else builder.mul(a, b)


def _compare(sign):
    def emit(builder, vector, a, b):
        return builder.fcmp_ordered(sign, a, b) if vector is Floats else builder.icmp_signed(sign, a, b)

    return emit


_binary(operator.add, _ARITHMETIC, _add)
_binary(operator.sub, _ARITHMETIC, _sub)
_binary(operator.mul, _ARITHMETIC, _mul)
_binary(operator.truediv, {Floats: Floats}, lambda builder, _, a, b: builder.fdiv(a, b, flags=_FAST))
_binary(operator.and_, _BITS, lambda builder, _, a, b: builder.and_(a, b))
_binary(operator.or_, _BITS, lambda builder, _, a, b: builder.or_(a, b))
_binary(operator.lshift, {Ints: Ints}, lambda builder, _, a, b: builder.shl(a, b))
_binary(operator.rshift, {Ints: Ints}, lambda builder, _, a, b: builder.lshr(a, b))
_binary(operator.lt, _COMPARE, _compare("<"))
_binary(operator.le, _COMPARE, _compare("<="))
_binary(operator.gt, _COMPARE, _compare(">"))
_binary(operator.ge, _COMPARE, _compare(">="))
_binary(operator.eq, _COMPARE, _compare("=="))


def _call(builder, name, result, args):
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(result, [a.type for a in args]), name
    )
    return builder.call(function, args)


def _pointer(context, builder, array_type, array, index, target):
    """The address of array[index], as a pointer to `target`; `index` counts items from the start of the data."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), target.as_pointer())


def _array_vector(array):
    if isinstance(array, types.Array) and array.layout == "C":
        if array.dtype == types.float32:
            return Floats
        if array.dtype in (types.int32, types.uint32):
            return Ints
    return None


@intrinsic
def spread_float(typingctx, value):
    def codegen(context, builder, sig, args):
        return _cast_scalar(context, builder, value, Floats, args[0])

    return Floats(value), codegen


@intrinsic
def spread_int(typingctx, value):
    def codegen(context, builder, sig, args):
        return _cast_scalar(context, builder, value, Ints, args[0])

    return Ints(value), codegen


@intrinsic
def lane_index(typingctx):
    def codegen(context, builder, sig, args):
        return ir.Constant(_llvm(Ints), list(range(LANES)))

    return Ints(), codegen


@intrinsic
def load(typingctx, array, index):
    vector = _array_vector(array)
    if vector is None:
        return None

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, array, args[0], args[1], _llvm(vector))
        return builder.load(pointer, align=4, typ=_llvm(vector))

    return vector(array, types.intp), codegen


@intrinsic
def store(typingctx, array, index, value):
    if _array_vector(array) is not value:
        return None

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, array, args[0], args[1], args[2].type)
        builder.store(args[2], pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@intrinsic
def store_selected(typingctx, array, index, value, mask):
    """Store the lanes that `mask` holds, packed without gaps."""
    if _array_vector(array) is not value or mask is not Mask:
        return None

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, array, args[0], args[1], value.element)
        kind = "f32" if value is Floats else "i32"
        _call(builder, f"llvm.masked.compressstore.v{LANES}{kind}", ir.VoidType(), [args[2], pointer, args[3]])
        return context.get_dummy_value()

    return types.void(array, types.intp, value, mask), codegen


@intrinsic
def gather(typingctx, array, index):
    vector = _array_vector(array)
    if vector is None or index is not Ints:
        return None

    def codegen(context, builder, sig, args):
        base = _pointer(context, builder, array, args[0], context.get_constant(types.intp, 0), vector.element)
        pointers = builder.gep(base, [args[1]], source_etype=vector.element)
        pointers.type = ir.VectorType(ir.PointerType(), LANES)  # llvmlite takes one address for the result of 16
        kind = "f32" if vector is Floats else "i32"
        every = ir.Constant(_llvm(Mask), [1] * LANES)
        rest = ir.Constant(_llvm(vector), ir.Undefined)
        return _call(
            builder, f"llvm.masked.gather.v{LANES}{kind}.v{LANES}p0", _llvm(vector), [pointers, _I32(4), every, rest]
        )

    return vector(array, index), codegen


@intrinsic
def select(typingctx, mask, yes, no):
    if mask is not Mask or not isinstance(yes, _Vector):
        return None

    def codegen(context, builder, sig, args):
        return builder.select(*args)

    return yes(mask, yes, yes), codegen


def _minmax(name, opcode):
    @intrinsic
    def function(typingctx, a, b):
        if a is not Floats and b is not Floats:
            return None

        def codegen(context, builder, sig, args):
            return builder.select(builder.fcmp_ordered(opcode, args[0], args[1]), args[0], args[1])

        return Floats(Floats, Floats), codegen

    function.__name__ = name
    return function


minimum = _minmax("minimum", "<")
maximum = _minmax("maximum", ">")


def _unsigned_minmax(name):
    @intrinsic
    def function(typingctx, a, b):
        def codegen(context, builder, sig, args):
            return _call(builder, f"llvm.{name}.v{LANES}i32", _llvm(Ints), args)

        return Ints(Ints, Ints), codegen

    return function


unsigned_maximum = _unsigned_minmax("umax")
unsigned_minimum = _unsigned_minmax("umin")


def _convert(source, target, emit):
    @intrinsic
    def function(typingctx, value):
        if value is not source:
            return None

        def codegen(context, builder, sig, args):
            return emit(builder, args[0])

        return target(source), codegen

    return function


bits = _convert(Floats, Ints, lambda builder, v: builder.bitcast(v, _llvm(Ints)))
from_bits = _convert(Ints, Floats, lambda builder, v: builder.bitcast(v, _llvm(Floats)))
truncate = _convert(Floats, Ints, lambda builder, v: builder.fptosi(v, _llvm(Ints)))
to_floats = _convert(Ints, Floats, lambda builder, v: builder.sitofp(v, _llvm(Floats)))
ceiling = _convert(Floats, Floats, lambda builder, v: _call(builder, f"llvm.ceil.v{LANES}f32", _llvm(Floats), [v]))
magnitude = _convert(Floats, Floats, lambda builder, v: _call(builder, f"llvm.fabs.v{LANES}f32", _llvm(Floats), [v]))
mask_bits = _convert(
    Mask,
    types.int64,
    lambda builder, v: builder.zext(builder.bitcast(v, ir.IntType(LANES)), ir.IntType(64)),
)


@intrinsic
def difference_of_products(typingctx, a, b, c, d):
    """a * b - c * d, each product rounded: swapping the pairs gives the exact negative, which fused arithmetic breaks."""

    def codegen(context, builder, sig, args):
        a, b, c, d = args
        return builder.fsub(builder.fmul(a, b), builder.fmul(c, d))

    return Floats(Floats, Floats, Floats, Floats), codegen


def _count(name, flag):
    @intrinsic
    def function(typingctx, value):
        def codegen(context, builder, sig, args):
            i64 = ir.IntType(64)
            return _call(builder, f"llvm.{name}.i64", i64, [args[0], *flag])

        return types.int64(types.int64), codegen

    return function


count_ones = _count("ctpop", [])
trailing_zeros = _count("cttz", [_I1(1)])


@intrinsic
def store_rgb(typingctx, image, index, packed):
    """Write 16 pixels 0x00BBGGRR as 48 bytes R G B R G B ..."""
    if packed is not Ints or not isinstance(image, types.Array) or image.dtype != types.uint8:
        return None

    def codegen(context, builder, sig, args):
        byte = ir.IntType(8)
        pointer = _pointer(context, builder, image, args[0], args[1], ir.VectorType(byte, 3 * LANES))
        raw = builder.bitcast(args[2], ir.VectorType(byte, 4 * LANES))
        order = [4 * (k // 3) + k % 3 for k in range(3 * LANES)]
        shuffle = ir.Constant(ir.VectorType(_I32, 3 * LANES), order)
        rgb = builder.shuffle_vector(raw, ir.Constant(raw.type, ir.Undefined), shuffle)
        builder.store(rgb, pointer, align=1)
        return context.get_dummy_value()

    return types.void(image, types.intp, packed), codegen


@intrinsic
def ceil_int(typingctx, value):
    """The smallest int64 that is not below a float32 scalar; numba's own calls the C library."""

    def codegen(context, builder, sig, args):
        up = _call(builder, "llvm.ceil.f32", _F32, [args[0]])
        return builder.fptosi(up, ir.IntType(64))

    return types.int64(types.float32), codegen
