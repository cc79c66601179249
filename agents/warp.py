"""Warps and colours the frames of a window in one kernel, 16 pixels at a time.

Each pixel of the result is mixed from the 2 x 2 pixels around the place that it shows: a channel of two that lie side
by side makes a 32-bit pair, which one instruction multiplies by a pair of weights and adds. Where they lie and what
they weigh is the same for all frames of a window, and worked out once. Colour is an affine function of the mixed red,
green and blue, in pairs again, rounded and clipped at the end. A frame is read once and written once.

Pixels that are neighbours in the result are nearly neighbours in the source. So, unless a warp turns or shrinks by much
more than an augmentation does, what 16 of them read lies within 63 bytes of two rows, or of three where they cross from
one to the next: a load a row, and a permutation for each channel. Other warps gather.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.jit import entry, kernel
from envs.simd import (
    HAS_BYTE_PERMUTATION,
    LANES,
    Floats,
    Ints,
    dot_pairs,
    equal,
    gather_neighbours,
    lane_index,
    load,
    load_rgb,
    maximum,
    minimum,
    permute_neighbours,
    select,
    shift_right,
    spread_float,
    spread_int,
    store,
    store_clipped,
    to_floats,
    truncate,
)

_WEIGHT_BITS: Final = 14  # weights of 2 x 2 pixels add up to 1 << 14, which an int16 holds
_ONE: Final = 1 << _WEIGHT_BITS
_MIXED_BITS: Final = 7  # that a mixed channel has behind its point: 255 << 7 is what an int16 holds
_ROUNDED: Final = _WEIGHT_BITS - _MIXED_BITS
_HALF: Final = 1 << (_ROUNDED - 1)
_BYTES: Final = 63  # that one permutation can read
_REACH: Final = 18  # columns from the first of 16 pixels to the last, so that their neighbours lie within those bytes
LEAST_SIDE: Final = 4  # of a frame that has 16 pixels
LUMA: Final = (0.299, 0.587, 0.114)  # how much of red, green and blue there is in grey
_SAMPLED: Final = 8  # frames, of which one is read for the mean grey: to read all would take as long as the rest


class Scratch(NamedTuple):
    """Memory that one thread uses again from call to call, for frames of some side."""

    targets: NDArray[np.int64]  # (side * blocks,): the byte of a frame of the result where 16 pixels begin
    starts: NDArray[np.int64]  # (side * blocks,): the byte of a frame of the source from which on they read
    places: NDArray[np.int32]  # (side * blocks * 16,): each pixel's upper left source from there, see `_plan`
    weights: NDArray[np.int32]  # (side * blocks * 48,): pairs, of three rows of the source
    sums: NDArray[np.int32]  # (16,)
    tail: NDArray[np.uint8]  # (48,): the last 16 pixels, where they would reach beyond the last frame
    affine: NDArray[np.float64]  # (3, 4): RGB and 1 to RGB


def make_scratch(side: int) -> Scratch:
    """Scratch for frames of `side` pixels, its content of no meaning."""
    blocks = side * -(-side // LANES)
    return Scratch(
        np.empty(blocks, np.int64),
        np.empty(blocks, np.int64),
        np.empty(blocks * LANES, np.int32),
        np.empty(blocks * LANES * 3, np.int32),
        np.empty(LANES, np.int32),
        np.empty(3 * LANES, np.uint8),
        np.empty((3, 4), np.float64),
    )


def is_gentle(warp: NDArray[np.float64], side: int) -> bool:
    """Whether what 16 neighbours of the result show lies within two lines and the reach of a permutation.

    Rows have to be multiples of 16 too: blocks are not written in order then, and may not reach into the next row.
    """
    along_x, along_y = abs(warp[:, 0]) * (LANES - 1)
    return bool(along_x < _REACH and along_y < 0.99 and side % LANES == 0 and 3 * side >= _BYTES)


@entry
def warp_and_colour(
    frames: NDArray[np.uint8],
    side: int,
    colour: NDArray[np.float64],
    contrast: float,
    warp: NDArray[np.float64],
    gentle: bool,
    scratch: Scratch,
    out: NDArray[np.uint8],
) -> None:
    """Warp and colour frames.

    Args: frames, out: flat, of the same size. colour: (3, 3), RGB to RGB. contrast: factor about the mean grey of every
      eighth frame. warp: (2, 3), a pixel of the result to the pixel it shows. gentle: as `is_gentle` says. out: other
      memory than the frames'.
    """
    near = gentle and HAS_BYTE_PERMUTATION
    uncrossed = _plan(scratch, side, warp, near)
    pixels = side * side
    _set_affine(frames, pixels, colour, contrast, scratch)
    bits = _fine(scratch.affine)
    for start in range(0, frames.size, 3 * pixels):
        _write(frames, start, side, near, 0, uncrossed, False, bits, scratch, out)
        _write(frames, start, side, near, uncrossed, scratch.starts.size, True, bits, scratch, out)


@kernel
def _set_affine(
    frames: NDArray[np.uint8], pixels: int, colour: NDArray[np.float64], contrast: float, scratch: Scratch
) -> None:
    """Turn colour and contrast into one affine map."""
    red, green, blue = _mean(frames, pixels, scratch.sums)
    grey = 0.0
    for k in range(3):
        grey += LUMA[k] * (colour[k, 0] * red + colour[k, 1] * green + colour[k, 2] * blue)
    for k in range(3):
        for channel in range(3):
            scratch.affine[k, channel] = contrast * colour[k, channel]
        scratch.affine[k, 3] = (1.0 - contrast) * grey


@kernel
def _fine(affine: NDArray[np.float64]) -> int:
    """How many bits the map's factors can have behind their point, so that int16 holds them, and int32 what they make.

    That is the map of mixed channels, which have some bits themselves.
    """
    bits = 22
    for k in range(3):
        red, green, blue = abs(affine[k, 0]), abs(affine[k, 1]), abs(affine[k, 2])
        most = (red + green + blue) * 256.0 + abs(affine[k, 3]) + 1.0
        while bits > -_MIXED_BITS and (
            max(red, green, blue) * 2.0**bits > 32767.0 or most * 2.0 ** (bits + _MIXED_BITS) > 2.0**31
        ):
            bits -= 1
    return bits


@kernel
def _row(affine: NDArray[np.float64], row: int, bits: int) -> tuple[Ints, Ints, Ints]:
    """What maps mixed colours to a channel: factors of red and green, of blue and nothing; what is added."""
    red, green, blue = _whole(affine[row, 0], bits), _whole(affine[row, 1], bits), _whole(affine[row, 2], bits)
    one = _whole(affine[row, 3] + 0.5, bits + _MIXED_BITS)
    return spread_int((red & 0xFFFF) | (green << 16)), spread_int(blue & 0xFFFF), spread_int(one)


@kernel
def _whole(value: float, bits: int) -> int:
    """A number of so many bits behind its point."""
    return int(np.floor(value * 2.0**bits + 0.5))


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
def _plan(scratch: Scratch, side: int, warp: NDArray[np.float64], near: bool) -> int:
    """Work out what each pixel of the result reads and how much it weighs.

    Far, `places` are bytes of the frame, and blocks are in the order of the result. Near, they are bytes from the
    block's start, as `permute_neighbours` takes them, and blocks that read but two rows come first.
    Returns: the number of blocks that come first; all where the warp is not near.
    """
    starts, places, weights = scratch.starts, scratch.places, scratch.weights
    first, last = 0, starts.size - 1
    xx, xy, x0 = np.float32(warp[0, 0]), np.float32(warp[0, 1]), np.float32(warp[0, 2])
    yx, yy, y0 = np.float32(warp[1, 0]), np.float32(warp[1, 1]), np.float32(warp[1, 2])
    nothing = spread_int(0)
    for row in range(side):
        for left in range(0, side, LANES):
            columns = to_floats(lane_index() + left)
            x = _clamp(columns * xx + (xy * np.float32(row) + x0), side - 1)
            y = _clamp(columns * yx + (yy * np.float32(row) + y0), side - 1)
            column, line = truncate(_clamp(x, side - 2)), truncate(_clamp(y, side - 2))  # with one beside and below
            upper, lower = _weights(x - to_floats(column), y - to_floats(line))
            at = first * LANES
            store(places, at, line)
            left_line, right_line = places[at], places[at + LANES - 1]
            if near and left_line != right_line:
                block = last
                last -= 1
            else:
                block = first
                first += 1
            scratch.targets[block] = 3 * (row * side + left)
            at = block * LANES
            if near:
                low_line = min(left_line, right_line)
                store(places, at, column)
                low_byte = min(3 * min(places[at], places[at + LANES - 1]), 3 * side - _BYTES)
                starts[block] = 3 * low_line * side + low_byte
                store(places, at, (column * 3 - low_byte) * 0x10001 + 0x3F033F00)
                is_upper = equal(line, spread_int(low_line))
                store(weights, 3 * at, select(is_upper, upper, nothing))
                store(weights, 3 * at + LANES, select(is_upper, lower, upper))
                store(weights, 3 * at + 2 * LANES, select(is_upper, nothing, lower))
            else:
                starts[block] = 0
                store(places, at, (line * side + column) * 3)
                store(weights, 3 * at, upper)
                store(weights, 3 * at + LANES, lower)
    return first


@kernel
def _clamp(values: Floats, last: int) -> Floats:
    """Beyond the border is what is on it."""
    return minimum(maximum(values, spread_float(0.0)), spread_float(last))


@kernel
def _weights(right: Floats, down: Floats) -> tuple[Ints, Ints]:
    """The pairs of weights of the upper and the lower two pixels, for a place this far into their square."""
    both = truncate(right * down * _ONE + 0.5)
    upper_right = truncate(right * _ONE + 0.5) - both
    lower_left = truncate(down * _ONE + 0.5) - both
    upper_left = spread_int(_ONE) - upper_right - lower_left - both
    return (upper_left & 0xFFFF) | (upper_right << 16), (lower_left & 0xFFFF) | (both << 16)


@kernel
def _write(
    frames: NDArray[np.uint8],
    start: int,
    side: int,
    near: bool,
    first: int,
    end: int,
    crosses: bool,
    bits: int,
    scratch: Scratch,
    out: NDArray[np.uint8],
) -> None:
    """Write some blocks of a frame of the result; `crosses` says whether they read three rows."""
    places, weights = scratch.places, scratch.weights
    to_red, to_green, to_blue = (
        _row(scratch.affine, 0, bits),
        _row(scratch.affine, 1, bits),
        _row(scratch.affine, 2, bits),
    )
    shift = bits + _MIXED_BITS
    below = 3 * side
    for block in range(first, end):
        at = block * LANES
        place, begin = load(places, at), start + scratch.starts[block]
        w0, w1 = load(weights, 3 * at), load(weights, 3 * at + LANES)
        red, green, blue = _read(frames, begin, place, w0, near)
        r, g, b = _read(frames, begin + below, place, w1, near)
        red, green, blue = red + r, green + g, blue + b
        if crosses:
            r, g, b = _read(frames, begin + 2 * below, place, load(weights, 3 * at + 2 * LANES), near)
            red, green, blue = red + r, green + g, blue + b
        red_green, only_blue = _mixed(red) | (_mixed(green) << 16), _mixed(blue)
        r = shift_right(_colour(to_red, red_green, only_blue), shift)
        g = shift_right(_colour(to_green, red_green, only_blue), shift)
        b = shift_right(_colour(to_blue, red_green, only_blue), shift)
        to = start + scratch.targets[block]
        if to + 3 * LANES <= out.size:  # what is beyond a row's end is of the next one, and written after this
            store_clipped(out, to, r, g, b)
        else:
            store_clipped(scratch.tail, 0, r, g, b)
            for k in range(out.size - to):
                out[to + k] = scratch.tail[k]


@kernel
def _read(frames: NDArray[np.uint8], begin: int, place: Ints, weights: Ints, near: bool) -> tuple[Ints, Ints, Ints]:
    """What a row adds to the red, the green and the blue of 16 pixels."""
    return _near(frames, begin, place, weights) if near else _far(frames, begin, place, weights)


@kernel
def _near(frames: NDArray[np.uint8], begin: int, place: Ints, weights: Ints) -> tuple[Ints, Ints, Ints]:
    """The same, where all lie within the reach of a permutation."""
    red = dot_pairs(permute_neighbours(frames, begin, place), weights)
    green = dot_pairs(permute_neighbours(frames, begin, place + 0x10001), weights)
    return red, green, dot_pairs(permute_neighbours(frames, begin, place + 0x20002), weights)


@kernel
def _far(frames: NDArray[np.uint8], begin: int, place: Ints, weights: Ints) -> tuple[Ints, Ints, Ints]:
    """The same, wherever in the frame they lie."""
    red = dot_pairs(gather_neighbours(frames, begin, place), weights)
    green = dot_pairs(gather_neighbours(frames, begin + 1, place), weights)
    return red, green, dot_pairs(gather_neighbours(frames, begin + 2, place), weights)


@kernel
def _mixed(weighed: Ints) -> Ints:
    """As many bits behind the point as an int16 has room for."""
    return (weighed + _HALF) >> _ROUNDED


@kernel
def _colour(row: tuple[Ints, Ints, Ints], red_green: Ints, blue: Ints) -> Ints:
    """A channel of the result."""
    return dot_pairs(red_green, row[0]) + (dot_pairs(blue, row[1]) + row[2])
