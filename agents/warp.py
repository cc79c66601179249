"""Colours and warps the frames of a window in one kernel, 16 pixels at a time.

Contrast is about the mean grey of some of the frames, which are read for it first. Then two steps, row by row of the
result. *Colour* maps RGB by an affine function, rounds and clips it, and keeps the frame as three planes of int16, of
which it makes no more than the row needs. *Warp* reads, for each pixel of the result, the 2 x 2 pixels around the place
that it shows: two that lie side by side in a plane are one 32-bit pair, which one instruction multiplies by a pair of
weights and adds. Where they lie and what they weigh is the same for all frames of a window, and worked out once.

A frame's planes are larger than the nearest cache: this way they are read while they lie there.

Pixels that are neighbours in the result are nearly neighbours in the source. So, unless a warp turns or shrinks by much
more than an augmentation does, what 16 of them read lies within 32 columns of three rows: three loads and permutations,
the rows that a pixel does not read weighing 0. Other warps gather.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.jit import entry, kernel
from envs.simd import (
    HAS_PERMUTATION,
    LANES,
    Floats,
    Ints,
    dot_pairs,
    equal,
    gather_pairs,
    lane_index,
    load,
    load_rgb,
    maximum,
    minimum,
    permute_pairs,
    select,
    spread_float,
    spread_int,
    store,
    store_rgb,
    store_shorts,
    to_floats,
    truncate,
)

_WEIGHT_BITS: Final = 14  # weights of 2 x 2 pixels add up to 1 << 14, which an int16 holds
_ONE: Final = 1 << _WEIGHT_BITS
_REACH: Final = 2 * LANES  # columns that one permutation can read
LEAST_SIDE: Final = 4  # of a frame that has 16 pixels
LUMA: Final = (0.299, 0.587, 0.114)  # how much of red, green and blue there is in grey
_SAMPLED: Final = 8  # frames, of which one is read for the mean grey: to read all takes a tenth of the time


class Scratch(NamedTuple):
    """Memory that one thread uses again from call to call, for frames of some side."""

    planes: NDArray[np.int16]  # (3 * stride,): a frame's red, green and blue
    needed: NDArray[np.int64]  # (side,): rows of the source, from the top, that a row of the result is made of
    starts: NDArray[np.int64]  # (side * blocks,): where in a plane the pixels begin that 16 pixels of the result read
    places: NDArray[np.int32]  # (side * blocks * 16,): each pixel's upper left source from there, see `_plan`
    weights: NDArray[np.int32]  # (side * blocks * 48,): pairs, of three rows of the source
    pixels: NDArray[np.int32]  # (16,): the last of a row, where a row is not a multiple of 16; or sums
    affine: NDArray[np.float64]  # (3, 4): RGB and 1 to RGB


def make_scratch(side: int) -> Scratch:
    """Scratch for frames of `side` pixels, its content of no meaning."""
    blocks = side * -(-side // LANES)
    stride = side * (side + 2) + _REACH  # what is read beyond the last row weighs 0
    return Scratch(
        np.empty(3 * stride, np.int16),
        np.empty(side, np.int64),
        np.empty(blocks, np.int64),
        np.empty(blocks * LANES, np.int32),
        np.empty(blocks * LANES * 3, np.int32),
        np.empty(LANES, np.int32),
        np.empty((3, 4), np.float64),
    )


def is_gentle(warp: NDArray[np.float64]) -> bool:
    """Whether what 16 neighbours in a row of the result show lies within two rows and the columns of a permutation."""
    along_x, along_y = abs(warp[:, 0]) * (LANES - 1)
    return bool(along_x < _REACH - 3 and along_y < 0.99)


@entry
def colour_and_warp(
    frames: NDArray[np.uint8],
    side: int,
    colour: NDArray[np.float64],
    contrast: float,
    warp: NDArray[np.float64],
    gentle: bool,
    scratch: Scratch,
    out: NDArray[np.uint8],
) -> None:
    """Colour and warp frames.

    Args: frames, out: flat, of the same size. colour: (3, 3), RGB to RGB. contrast: factor about the mean grey of every
      eighth frame. warp: (2, 3), a pixel of the result to the pixel it shows. gentle: as `is_gentle` says. out: other
      memory than the frames'.
    """
    near = gentle and HAS_PERMUTATION
    _plan(scratch, side, warp, near)
    pixels = side * side
    _set_affine(frames, pixels, colour, contrast, scratch)
    for start in range(0, frames.size, 3 * pixels):
        coloured = 0
        for row in range(side):
            coloured = _colour(frames, start, coloured, scratch.needed[row] * side, pixels, scratch)
            _warp(scratch, side, row, near, out, start)


@kernel
def _set_affine(
    frames: NDArray[np.uint8], pixels: int, colour: NDArray[np.float64], contrast: float, scratch: Scratch
) -> None:
    """Turn colour and contrast into one affine map."""
    red, green, blue = _mean(frames, pixels, scratch.pixels)
    grey = 0.0
    for k in range(3):
        grey += LUMA[k] * (colour[k, 0] * red + colour[k, 1] * green + colour[k, 2] * blue)
    for k in range(3):
        for channel in range(3):
            scratch.affine[k, channel] = contrast * colour[k, channel]
        scratch.affine[k, 3] = (1.0 - contrast) * grey


@kernel
def _mean(frames: NDArray[np.uint8], pixels: int, sums: NDArray[np.int32]) -> tuple[float, float, float]:
    """The mean red, green and blue of every eighth frame."""
    red, green, blue = 0.0, 0.0, 0.0
    counted = 0
    for start in range(0, frames.size, 3 * pixels * _SAMPLED):
        r, g, b = spread_int(0), spread_int(0), spread_int(0)
        whole = pixels // LANES * LANES
        for k in range(0, whole, LANES):
            packed = load_rgb(frames, start + 3 * k)
            r, g, b = r + (packed & 255), g + ((packed >> 8) & 255), b + (packed >> 16)
        red, green, blue = red + _sum(r, sums), green + _sum(g, sums), blue + _sum(b, sums)
        for k in range(whole, pixels):
            at = start + 3 * k
            red, green, blue = red + frames[at], green + frames[at + 1], blue + frames[at + 2]
        counted += pixels
    return red / counted, green / counted, blue / counted


@kernel
def _sum(values: Ints, lanes: NDArray[np.int32]) -> float:
    """The sum of 16 numbers."""
    store(lanes, 0, values)
    total = 0
    for k in range(LANES):
        total += lanes[k]
    return float(total)


@kernel
def _colour(frames: NDArray[np.uint8], start: int, first: int, last: int, pixels: int, scratch: Scratch) -> int:
    """Write the colours of a frame's pixels from `first` to `last` or a few more, rounded and clipped, to the planes.

    Returns: the first pixel that comes next; `first`, a multiple of 16, where there was nothing to do.
    """
    colour, planes = scratch.affine, scratch.planes
    stride = planes.size // 3
    low, high = spread_float(0.0), spread_float(255.0)
    r0, g0, b0, one0 = _row(colour, 0)
    r1, g1, b1, one1 = _row(colour, 1)
    r2, g2, b2, one2 = _row(colour, 2)
    for k in range(first, last, LANES):
        i = min(k, pixels - LANES)  # the last 16 may be some of those before them again
        packed = load_rgb(frames, start + 3 * i)
        red, green, blue = to_floats(packed & 255), to_floats((packed >> 8) & 255), to_floats(packed >> 16)
        new_red = red * r0 + (green * g0 + (blue * b0 + one0))
        new_green = red * r1 + (green * g1 + (blue * b1 + one1))
        new_blue = red * r2 + (green * g2 + (blue * b2 + one2))
        store_shorts(planes, i, truncate(minimum(maximum(new_red, low), high)))
        store_shorts(planes, stride + i, truncate(minimum(maximum(new_green, low), high)))
        store_shorts(planes, 2 * stride + i, truncate(minimum(maximum(new_blue, low), high)))
    return max(first, (last + LANES - 1) // LANES * LANES)


@kernel
def _row(colour: NDArray[np.float64], row: int) -> tuple[Floats, Floats, Floats, Floats]:
    """A row of the colour matrix, with a half to round by."""
    return (
        spread_float(colour[row, 0]),
        spread_float(colour[row, 1]),
        spread_float(colour[row, 2]),
        spread_float(colour[row, 3] + 0.5),
    )


@kernel
def _plan(scratch: Scratch, side: int, warp: NDArray[np.float64], near: bool) -> None:
    """Work out what each pixel of the result reads, how much it weighs, and how far down a row of the result reaches.

    Near, `places` are columns k + ((k + 1) << 16) from the block's start; else they are pixels of the plane.
    """
    starts, places, weights = scratch.starts, scratch.places, scratch.weights
    block = 0
    xx, xy, x0 = np.float32(warp[0, 0]), np.float32(warp[0, 1]), np.float32(warp[0, 2])
    yx, yy, y0 = np.float32(warp[1, 0]), np.float32(warp[1, 1]), np.float32(warp[1, 2])
    for row in range(side):
        lowest = 0
        for left in range(0, side, LANES):
            columns = to_floats(lane_index() + left)
            x = _clamp(columns * xx + (xy * np.float32(row) + x0), side)
            y = _clamp(columns * yx + (yy * np.float32(row) + y0), side)
            column, line = truncate(x), truncate(y)
            upper, lower = _weights(x - to_floats(column), y - to_floats(line))
            at = block * LANES
            store(places, at, line)
            left_line, right_line = places[at], places[at + LANES - 1]
            lowest = max(lowest, left_line, right_line)
            if near:
                low_line = min(left_line, right_line)
                store(places, at, column)
                low_column = min(places[at], places[at + LANES - 1])
                starts[block] = low_line * side + low_column
                store(places, at, (column - low_column) * 0x10001 + 0x10000)
                is_upper = equal(line, spread_int(low_line))
                nothing = spread_int(0)
                store(weights, 3 * at, select(is_upper, upper, nothing))
                store(weights, 3 * at + LANES, select(is_upper, lower, upper))
                store(weights, 3 * at + 2 * LANES, select(is_upper, nothing, lower))
            else:
                store(places, at, line * side + column)
                store(weights, 3 * at, upper)
                store(weights, 3 * at + LANES, lower)
            block += 1
        scratch.needed[row] = min(lowest + 2, side)


@kernel
def _clamp(values: Floats, side: int) -> Floats:
    """Beyond the border is what is on it."""
    return minimum(maximum(values, spread_float(0.0)), spread_float(side - 1))


@kernel
def _weights(right: Floats, down: Floats) -> tuple[Ints, Ints]:
    """The pairs of weights of the upper and the lower two pixels, for a place this far into their square."""
    both = truncate(right * down * _ONE + 0.5)
    upper_right = truncate(right * _ONE + 0.5) - both
    lower_left = truncate(down * _ONE + 0.5) - both
    upper_left = spread_int(_ONE) - upper_right - lower_left - both
    return (upper_left & 0xFFFF) | (upper_right << 16), (lower_left & 0xFFFF) | (both << 16)


@kernel
def _warp(scratch: Scratch, side: int, row: int, near: bool, out: NDArray[np.uint8], start: int) -> None:
    """Write a row of the frame that the planes hold, warped."""
    planes, places, weights = scratch.planes, scratch.places, scratch.weights
    stride = planes.size // 3
    block = row * ((side + LANES - 1) // LANES)
    for left in range(0, side, LANES):
        at = block * LANES
        place = load(places, at)
        w0, w1 = load(weights, 3 * at), load(weights, 3 * at + LANES)
        if near:
            begin, w2 = scratch.starts[block], load(weights, 3 * at + 2 * LANES)
            red = _near(planes, begin, side, place, w0, w1, w2)
            green = _near(planes, begin + stride, side, place, w0, w1, w2)
            blue = _near(planes, begin + 2 * stride, side, place, w0, w1, w2)
        else:
            red = _far(planes, place, side, w0, w1)
            green = _far(planes, place + stride, side, w0, w1)
            blue = _far(planes, place + 2 * stride, side, w0, w1)
        packed = red | (green << 8) | (blue << 16)
        to = start + 3 * (row * side + left)
        if left + LANES <= side:
            store_rgb(out, to, packed)
        else:
            store(scratch.pixels, 0, packed)
            for k in range(side - left):
                for channel in range(3):
                    out[to + 3 * k + channel] = (scratch.pixels[k] >> (8 * channel)) & 255
        block += 1


@kernel
def _near(planes: NDArray[np.int16], begin: int, side: int, place: Ints, w0: Ints, w1: Ints, w2: Ints) -> Ints:
    """16 pixels of a plane, of three rows each."""
    upper = dot_pairs(permute_pairs(planes, begin, place), w0)
    middle = dot_pairs(permute_pairs(planes, begin + side, place), w1)
    lower = dot_pairs(permute_pairs(planes, begin + 2 * side, place), w2)
    return (upper + middle + lower + _ONE // 2) >> _WEIGHT_BITS


@kernel
def _far(planes: NDArray[np.int16], place: Ints, side: int, w0: Ints, w1: Ints) -> Ints:
    """16 pixels of a plane, of two rows each."""
    upper = dot_pairs(gather_pairs(planes, place), w0)
    lower = dot_pairs(gather_pairs(planes, place + side), w1)
    return (upper + lower + _ONE // 2) >> _WEIGHT_BITS
