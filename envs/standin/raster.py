"""Draws triangles: the whole 3D pipeline, for one frame, on one processor.

Three passes, 16 lanes at a time. *Setup* turns triangles into planes over the screen, in homogeneous coordinates, so
that nothing is clipped: with the corners a, b, c as (x, y, depth), the edge opposite a is b x c, and any attribute
over depth is a linear function of the pixel. *Cover* writes one word a pixel, inverse depth above triangle number; the
nearest triangle is the largest word, so the depth test is one `max`. *Shade* reads each pixel's winner once: textures
with mip levels, baked light, fog, the soft shadow under the figure, and a sky that is a plane of clouds at a height.

The 16 pixels of a vector are a square of 4 x 4: fewer triangles cover one than cover a row of 16.

Sources: Olano and Greer, "Triangle scan conversion using 2D homogeneous coordinates", 1997; Burns and Hunt, "The
visibility buffer", 2013.
"""

from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from envs.jit import Real, Whole, kernel
from envs.simd import (
    LANES,
    Floats,
    Ints,
    Mask,
    bits,
    difference_of_products,
    equal,
    from_bits,
    gather,
    lane_index,
    load,
    load_quarters,
    magnitude,
    mask_bits,
    maximum,
    minimum,
    reciprocal,
    select,
    spread_float,
    spread_int,
    store,
    store_rgb,
    store_selected,
    to_floats,
    trailing_zeros,
    truncate,
    unsigned_maximum,
)

TEXTURE_SIDE: Final = 64
TEXTURE_TEXELS: Final = 5462  # 64 x 64 and its mip levels down to 1 x 1, and one to spare

NEAR: Final = 1.0 / 16.0  # metres; inverse depths lie in [1 / 256, 16)
_DEPTH_BITS: Final = 27  # of a float32 between 1 / 256 and 16; the word holds the upper 19 and 13 for the triangle
_ID: Final = (1 << 13) - 1
MAX_TRIANGLES: Final = _ID  # number 0 is the sky
SKY_HEIGHT: Final = 40.0  # metres, of the clouds above the eye
_DEPTH_BIAS: Final = 0x3B800000  # the bits of 1 / 256 as float32
_LARGEST: Final = 15.9375
_HORIZON: Final = 1.0 / 4096.0  # the sky's least inverse depth
_ALL_LANES: Final = (1 << LANES) - 1

PLANES: Final = 18  # x, y, z of three corners, then the three corners' u, v (texels) and light
_SHADING: Final = 9  # rows of Scratch.planes: the coefficients of x, y and 1 for u, v and light over depth
_EDGES: Final = 12  # rows of Scratch.edges: the same for three edges and inverse depth
_SIDE_BITS: Final = 2
_SIDE: Final = 1 << _SIDE_BITS  # pixels of a square, which a vector holds row by row
_BOX: Final = 4  # rows of Scratch.boxes: columns [left, right), rows [top, bottom) that a triangle may cover


class Triangles(NamedTuple):
    """A list of triangles in the world, front side counter-clockwise, in groups that are culled together."""

    planes: NDArray[np.float32]  # (PLANES * stride,)
    material: NDArray[np.int32]  # (stride,), see `material`
    group_start: NDArray[np.int64]  # (groups + 1,), multiples of 16
    group_box: NDArray[np.float32]  # (groups, 7): centre, half size, and how far its triangles can be made out


class Camera(Protocol):
    """A numba record: where a frame is seen from. Rows of the rotation are screen right, screen down and forward."""

    x: float
    y: float
    z: float
    right_x: float
    right_y: float
    right_z: float
    down_x: float
    down_y: float
    down_z: float
    forward_x: float
    forward_y: float
    forward_z: float
    focal: float  # of a screen one unit wide: 0.5 / tan(half the horizontal field of view)
    shadow_x: float  # the ground under the figure
    shadow_y: float
    shadow_z: float
    shadow_radius: float


Corners: TypeAlias = tuple[Floats, Floats, Floats]  # x, y and depth of one corner of 16 triangles
Slopes: TypeAlias = tuple[Real, Real, Real, Real]  # along x, along y, with depth, and at its origin

CAMERA: Final = np.dtype([(name, np.float32) for name in Camera.__annotations__])


class Look(NamedTuple):
    """What surfaces look like, for all frames of a world."""

    texels: NDArray[np.int32]  # (textures * TEXTURE_TEXELS,), 0x00BBGGRR
    fog: NDArray[np.float32]  # (4,): red, green, blue in [0, 255], density a metre
    sky: int  # the clouds' texture, drawn as it is


class Scratch(NamedTuple):
    """Memory that one drawing thread reuses from frame to frame."""

    planes: NDArray[np.float32]  # (_SHADING * stride,), of every triangle that may be seen
    material: NDArray[np.int32]  # (stride,)
    edges: NDArray[np.float32]  # (_EDGES * 16,), of the 16 in hand
    boxes: NDArray[np.int32]  # (_BOX * 16,)
    words: NDArray[np.int32]  # (squares * 16,), in rows of squares from the top
    strip: NDArray[np.int32]  # (4 * 16,), the colours of four squares side by side


def material(texture: int, red: float, green: float, blue: float) -> int:
    """A texture's number and a tint in [0, 2) as one int32: 5 bits and 3 x 9."""
    tint = [min(511, max(0, round(256 * c))) for c in (red, green, blue)]
    packed = texture | tint[0] << 5 | tint[1] << 14 | tint[2] << 23
    return packed - (1 << 32) if packed >> 31 else packed


_WHITE: Final = material(0, 1.0, 1.0, 1.0)


def make_scratch(triangles: int, width: int, height: int) -> Scratch:
    """Scratch for frames of `width` x `height` (width a multiple of 16) and scenes of so many triangles."""
    stride = (triangles // LANES + 3 | 1) * LANES  # an odd number of vectors keeps rows apart in the cache
    return Scratch(
        np.zeros(_SHADING * stride, np.float32),
        np.zeros(stride, np.int32),
        aligned(_EDGES * LANES, np.float32),
        aligned(_BOX * LANES, np.int32),
        aligned(-(-height // _SIDE) * _SIDE * width, np.int32),
        aligned(_SIDE * LANES, np.int32),
    )


def aligned(size: int, dtype: type[np.float32] | type[np.int32]) -> NDArray[Any]:
    """Zeros that begin at a multiple of 64 bytes, so that a vector need not lie across two cache lines."""
    memory = np.zeros(size + LANES, dtype)
    skip = -memory.ctypes.data % 64 // 4
    return memory[skip : skip + size]


@kernel
def _is_visible(box: NDArray[np.float32], camera: Camera, half_width: Real, half_height: Real, detail: Real) -> bool:
    """Whether a group may be seen in a view whose sides have these slopes; `detail` stretches the groups' reach."""
    dx, dy, dz = box[0] - camera.x, box[1] - camera.y, box[2] - camera.z
    x = dx * camera.right_x + dy * camera.right_y + dz * camera.right_z
    y = dx * camera.down_x + dy * camera.down_y + dz * camera.down_z
    z = dx * camera.forward_x + dy * camera.forward_y + dz * camera.forward_z
    ex = box[3] * abs(camera.right_x) + box[4] * abs(camera.right_y) + box[5] * abs(camera.right_z)
    ey = box[3] * abs(camera.down_x) + box[4] * abs(camera.down_y) + box[5] * abs(camera.down_z)
    ez = box[3] * abs(camera.forward_x) + box[4] * abs(camera.forward_y) + box[5] * abs(camera.forward_z)
    reach = z + ez
    if z - ez > box[6] * detail:
        return False
    return reach > 0.0 and abs(x) - ex < half_width * reach and abs(y) - ey < half_height * reach


@kernel
def _to_screen(planes: NDArray[np.float32], stride: int, corner: int, t: Whole, camera: Camera, focal: Real) -> Corners:
    """16 triangles' corner as (x, y, depth): pixels from the screen's centre times depth, and metres."""
    x = load(planes, 3 * corner * stride + t) - camera.x
    y = load(planes, (3 * corner + 1) * stride + t) - camera.y
    z = load(planes, (3 * corner + 2) * stride + t) - camera.z
    return (
        (x * camera.right_x + y * camera.right_y + z * camera.right_z) * focal,
        (x * camera.down_x + y * camera.down_y + z * camera.down_z) * focal,
        x * camera.forward_x + y * camera.forward_y + z * camera.forward_z,
    )


@kernel
def _edge(p: Corners, q: Corners) -> Corners:
    """The edge through p and q, positive on the inner side; exactly the negative of the edge through q and p."""
    return (
        difference_of_products(p[1], q[2], q[1], p[2]),
        difference_of_products(q[0], p[2], p[0], q[2]),
        difference_of_products(p[0], q[1], q[0], p[1]),
    )


@kernel
def _range(low: Floats, high: Floats, size: int) -> tuple[Ints, Ints]:
    """First and last + 1 of the pixel centres between two distances from the screen's centre, within [0, size)."""
    half, zero, end = np.float32(0.5) * np.float32(size), spread_float(0.0), spread_float(size)
    first = truncate(minimum(maximum(low + half, zero), end) + 0.499)
    return first, truncate(minimum(maximum(high + half, zero), end) + 0.501)


@kernel
def _boxes(a: Corners, b: Corners, c: Corners, width: int, height: int, boxes: NDArray[np.int32]) -> Mask:
    """Store the pixels that each triangle may cover; returns a mask of those that may cover any."""
    inverse = 1.0 / (a[2] * b[2] * c[2])
    ia, ib, ic = b[2] * c[2] * inverse, a[2] * c[2] * inverse, a[2] * b[2] * inverse
    left, right = _span(a[0] * ia, b[0] * ib, c[0] * ic)
    top, bottom = _span(a[1] * ia, b[1] * ib, c[1] * ic)
    crossing = minimum(a[2], minimum(b[2], c[2])) <= NEAR
    if mask_bits(crossing) != 0:  # some reach behind the eye: what bounds them is where they are cut
        near_left, near_right = _cut_span(a[0], b[0], c[0], a[2], b[2], c[2])
        near_top, near_bottom = _cut_span(a[1], b[1], c[1], a[2], b[2], c[2])
        left, right = select(crossing, near_left, left), select(crossing, near_right, right)
        top, bottom = select(crossing, near_top, top), select(crossing, near_bottom, bottom)
    x0, x1 = _range(left, right, width)
    y0, y1 = _range(top, bottom, height)
    store(boxes, 0, x0 & ~(_SIDE - 1))  # whole squares
    store(boxes, LANES, x1)
    store(boxes, 2 * LANES, y0 & ~(_SIDE - 1))
    store(boxes, 3 * LANES, y1)
    return (x0 < x1) & (y0 < y1)


@kernel
def _span(p: Floats, q: Floats, r: Floats) -> tuple[Floats, Floats]:
    return minimum(p, minimum(q, r)), maximum(p, maximum(q, r))


@kernel
def _cut_span(p: Floats, q: Floats, r: Floats, pz: Floats, qz: Floats, rz: Floats) -> tuple[Floats, Floats]:
    """The span on the screen of the part of a triangle beyond NEAR."""
    low, high = spread_float(1e9), spread_float(-1e9)
    for x, z, next_x, next_z in ((p, pz, q, qz), (q, qz, r, rz), (r, rz, p, pz)):
        inside, next_inside = z > NEAR, next_z > NEAR
        at = x / z
        low, high = select(inside, minimum(low, at), low), select(inside, maximum(high, at), high)
        at = (x + (next_x - x) * ((NEAR - z) / (next_z - z))) * (1.0 / NEAR)
        goes_out, comes_in = select(next_inside, low, minimum(low, at)), select(next_inside, minimum(low, at), low)
        low = select(inside, goes_out, comes_in)
        goes_out, comes_in = select(next_inside, high, maximum(high, at)), select(next_inside, maximum(high, at), high)
        high = select(inside, goes_out, comes_in)
    return low, high


@kernel
def _touches_view(a: Corners, b: Corners, c: Corners, width: int, height: int) -> Mask:
    """False where all three corners lie beyond one side of the view, even if some are behind the eye."""
    w, h = np.float32(0.5) * np.float32(width), np.float32(0.5) * np.float32(height)
    right = minimum(a[0] - a[2] * w, minimum(b[0] - b[2] * w, c[0] - c[2] * w)) < 0.0
    left = maximum(a[0] + a[2] * w, maximum(b[0] + b[2] * w, c[0] + c[2] * w)) > 0.0
    below = minimum(a[1] - a[2] * h, minimum(b[1] - b[2] * h, c[1] - c[2] * h)) < 0.0
    above = maximum(a[1] + a[2] * h, maximum(b[1] + b[2] * h, c[1] + c[2] * h)) > 0.0
    front = maximum(a[2], maximum(b[2], c[2])) > NEAR
    return right & left & below & above & front


@kernel
def _draw_triangles(
    scene: Triangles, first: int, last: int, camera: Camera, scratch: Scratch, count: int, width: int, height: int
) -> int:
    """Set up and cover triangles [first, last), numbered from `count`; returns the next number."""
    corners, planes, edges = scene.planes, scratch.planes, scratch.edges
    stride, out_stride = scene.material.size, scratch.material.size
    focal = np.float32(camera.focal * np.float32(width))
    for t in range(first, last, LANES):
        a = _to_screen(corners, stride, 0, t, camera, focal)
        b = _to_screen(corners, stride, 1, t, camera, focal)
        c = _to_screen(corners, stride, 2, t, camera, focal)
        touching = _touches_view(a, b, c, width, height)
        if mask_bits(touching) == 0:
            continue
        e0 = _edge(c, b)
        det = a[0] * e0[0] + a[1] * e0[1] + a[2] * e0[2]
        keep = touching & (det > 1e-9) & _boxes(a, b, c, width, height, scratch.boxes)
        kept = mask_bits(keep)
        if kept == 0:
            continue
        e1, e2 = _edge(a, c), _edge(b, a)
        inverse = 1.0 / det
        for k in range(3):
            store(edges, k * LANES, e0[k])
            store(edges, (3 + k) * LANES, e1[k])
            store(edges, (6 + k) * LANES, e2[k])
            store(edges, (9 + k) * LANES, (e0[k] + e1[k] + e2[k]) * inverse)
        for row in range(0, _SHADING, 3):
            p = load(corners, (9 + row) * stride + t) * inverse
            q = load(corners, (10 + row) * stride + t) * inverse
            r = load(corners, (11 + row) * stride + t) * inverse
            for k in range(3):
                store_selected(planes, (row + k) * out_stride + count, e0[k] * p + e1[k] * q + e2[k] * r, keep)
        store_selected(scratch.material, count, load(scene.material, t), keep)
        while kept != 0:
            _cover(scratch, trailing_zeros(kept), count, width, height)
            kept &= kept - 1
            count += 1
    return count


@kernel
def _offsets(width: int, height: int) -> tuple[Floats, Floats]:
    """The centres of the upper left square's pixels, from the screen's centre."""
    x, y = to_floats(lane_index() & (_SIDE - 1)), to_floats(lane_index() >> _SIDE_BITS)
    half = np.float32(0.5)
    return x + (half - half * np.float32(width)), y + (half - half * np.float32(height))


@kernel
def _cover(scratch: Scratch, lane: int, number: int, width: int, height: int) -> None:
    """Put one triangle's word wherever it is the nearest so far."""
    edges, boxes, words = scratch.edges, scratch.boxes, scratch.words
    left_x, top_y = _offsets(width, height)
    b0, b1 = spread_float(edges[LANES + lane]), spread_float(edges[4 * LANES + lane])
    b2, bw = spread_float(edges[7 * LANES + lane]), spread_float(edges[10 * LANES + lane])
    # What is the same for all pixels is taken from their words beforehand, and rows are counted in floats.
    numbers = spread_int(number - (_DEPTH_BIAS << (32 - _DEPTH_BITS)))
    top, bottom = np.int64(boxes[2 * LANES + lane]), np.int64(boxes[3 * LANES + lane])
    for x in range(np.int64(boxes[lane]), np.int64(boxes[LANES + lane]), _SIDE):
        px, py = left_x + np.float32(x), top_y + np.float32(top)
        e0 = px * edges[lane] + edges[2 * LANES + lane]
        e1 = px * edges[3 * LANES + lane] + edges[5 * LANES + lane]
        e2 = px * edges[6 * LANES + lane] + edges[8 * LANES + lane]
        ew = px * edges[9 * LANES + lane] + edges[11 * LANES + lane]
        for y in range(top, bottom, _SIDE):
            signs = bits(py * b0 + e0) | bits(py * b1 + e1) | bits(py * b2 + e2)
            inside = signs >= spread_int(0)  # no edge is negative
            depth = minimum(py * bw + ew, spread_float(_LARGEST))
            word = ((bits(depth) << (32 - _DEPTH_BITS)) & ~_ID) + numbers
            place = y * width + x * _SIDE
            seen = load(words, place)
            store(words, place, select(inside, unsigned_maximum(seen, word), seen))
            py = py + np.float32(_SIDE)


@kernel
def _set_up_sky(camera: Camera, scratch: Scratch, texture: int, width: int) -> None:
    """Triangle 0: a plane of clouds overhead and its mirror image below; its light is its inverse depth."""
    planes, stride = scratch.planes, scratch.material.size
    pixel = np.float32(1.0) / np.float32(camera.focal * np.float32(width))
    height = np.float32(1.0 / SKY_HEIGHT)
    for row, right, down, forward, scale in (
        (0, camera.right_x, camera.down_x, camera.forward_x, np.float32(1.0)),
        (3, camera.right_y, camera.down_y, camera.forward_y, np.float32(1.0)),
        (6, camera.right_z, camera.down_z, camera.forward_z, height),
    ):
        planes[row * stride] = right * pixel * scale
        planes[(row + 1) * stride] = down * pixel * scale
        planes[(row + 2) * stride] = forward * scale
    scratch.material[0] = _WHITE | texture


@kernel
def _shade(
    scratch: Scratch, camera: Camera, look: Look, width: int, height: int, image: NDArray[np.uint8], start: int
) -> None:
    """Colour the pixels of one frame, which begins at image[start], and clear the words for the next."""
    words, strip = scratch.words, scratch.strip
    pixel = np.float32(1.0) / np.float32(camera.focal * np.float32(width))  # of the view's slope
    left_x, top_y = _offsets(width, height)
    shadow = _shadow_planes(camera, pixel)
    left, right, top, bottom = _shadow_box(camera, width, height)
    mip_scale = pixel * np.float32(140.0)  # 1.5 on a screen 128 wide: the ground is mostly seen at a slant
    for y in range(0, height, _SIDE):
        py = top_y + np.float32(y)
        for x in range(0, width, _SIDE):
            place = y * width + x * _SIDE
            word = load(words, place)
            px = left_x + np.float32(x)
            if mask_bits(equal(word, spread_int(0))) == _ALL_LANES:
                packed = _sky(scratch, look, px, py)
            else:
                u, v, light, depth, surface = _visible(scratch, word, place, px, py)
                store(words, place, spread_int(0))
                z = reciprocal(depth)
                light = light * z
                if top - _SIDE < y < bottom and left - _SIDE < x < right:
                    light = light * _shadow(shadow, px, py, z)
                in_sky = equal(word & _ID, spread_int(0))
                texel = _sample(look.texels, surface & 31, u * z, v * z, _mip_level(z * mip_scale, in_sky))
                packed = _blend(texel, surface, light, z, look.fog)
            column = x % LANES
            store(strip, column * _SIDE, packed)
            if column + _SIDE == LANES:
                for row in range(min(_SIDE, height - y)):
                    target = start + ((y + row) * width + x - column) * 3
                    store_rgb(image, target, load_quarters(strip, row * _SIDE))


@kernel
def _visible(
    scratch: Scratch, word: Ints, place: int, px: Floats, py: Floats
) -> tuple[Floats, Floats, Floats, Floats, Ints]:
    """What 16 pixels show: texture position and light over depth, inverse depth, material."""
    planes, stride = scratch.planes, scratch.material.size
    number = word & _ID
    depth = from_bits(((word & ~_ID) >> (32 - _DEPTH_BITS)) + _DEPTH_BIAS)
    u, v, light, surface = spread_float(0.0), spread_float(0.0), spread_float(0.0), spread_int(0)
    pending = np.int64(_ALL_LANES)
    while pending != 0:  # once for each triangle among the 16, mostly one or two
        t = np.int64(scratch.words[np.uint64(place + trailing_zeros(pending))] & _ID)
        here = equal(number, spread_int(t))
        pending &= ~mask_bits(here)
        u = select(here, _plane(planes, 0, stride, t, px, py), u)
        v = select(here, _plane(planes, 3, stride, t, px, py), v)
        light = select(here, _plane(planes, 6, stride, t, px, py), light)
        surface = select(here, spread_int(scratch.material[np.uint64(t)]), surface)
        if t == 0:
            light = select(here, maximum(magnitude(light), spread_float(_HORIZON)), light)
            depth = select(here, light, depth)
    return u, v, light, depth, surface


@kernel
def _sky(scratch: Scratch, look: Look, px: Floats, py: Floats) -> Ints:
    """The colour of 16 pixels that are all sky; the same as the long way round."""
    planes, stride = scratch.planes, scratch.material.size
    z = reciprocal(maximum(magnitude(_plane(planes, 6, stride, 0, px, py)), spread_float(_HORIZON)))
    u, v = _plane(planes, 0, stride, 0, px, py) * z, _plane(planes, 3, stride, 0, px, py) * z
    texel = _sample(look.texels, spread_int(look.sky), u, v, spread_int(0))
    haze = _haze(z, look.fog)
    clear = 1.0 - haze
    r = to_floats(texel & 255) * clear + haze * look.fog[0]
    g = to_floats((texel >> 8) & 255) * clear + haze * look.fog[1]
    b = to_floats((texel >> 16) & 255) * clear + haze * look.fog[2]
    return truncate(r) | (truncate(g) << 8) | (truncate(b) << 16)


@kernel
def _haze(z: Floats, fog: NDArray[np.float32]) -> Floats:
    """The share of fog in what is seen at a depth."""
    thick = z * fog[3]
    return minimum(thick * thick, spread_float(1.0))


@kernel
def _blend(texel: Ints, surface: Ints, light: Floats, z: Floats, fog: NDArray[np.float32]) -> Ints:
    """Texel, tint, light and fog as packed colours."""
    haze = _haze(z, fog)
    lit = (1.0 - haze) * light * (1.0 / 256.0)
    full = spread_float(255.0)
    r = minimum(to_floats(texel & 255) * to_floats((surface >> 5) & 511) * lit + haze * fog[0], full)
    g = minimum(to_floats((texel >> 8) & 255) * to_floats((surface >> 14) & 511) * lit + haze * fog[1], full)
    b = minimum(to_floats((texel >> 16) & 255) * to_floats(surface >> 23) * lit + haze * fog[2], full)
    return truncate(r) | (truncate(g) << 8) | (truncate(b) << 16)


@kernel
def _shadow_planes(camera: Camera, pixel: Real) -> tuple[Slopes, Slopes, Slopes]:
    """For x, y and z: how a pixel's offset from the shadow's centre, in radii, follows from its place and depth."""
    size = np.float32(1.0) / camera.shadow_radius
    return (
        _shadow_plane(camera.right_x, camera.down_x, camera.forward_x, camera.x - camera.shadow_x, pixel, size),
        _shadow_plane(camera.right_y, camera.down_y, camera.forward_y, camera.y - camera.shadow_y, pixel, size),
        _shadow_plane(camera.right_z, camera.down_z, camera.forward_z, camera.z - camera.shadow_z, pixel, size),
    )


@kernel
def _shadow_plane(right: Real, down: Real, forward: Real, away: Real, pixel: Real, size: Real) -> Slopes:
    return right * pixel * size, down * pixel * size, forward * size, away * size


@kernel
def _shadow(shadow: tuple[Slopes, Slopes, Slopes], px: Floats, py: Floats, z: Floats) -> Floats:
    """How much light is left near the ground under the figure: 0.4 in the middle, 1 from a radius on."""
    beside = spread_float(0.0)
    for along_x, along_y, ahead, offset in shadow:
        away = (px * along_x + (py * along_y + ahead)) * z + offset
        beside = beside + away * away
    return minimum(beside * 0.6 + 0.4, spread_float(1.0))


@kernel
def _shadow_box(camera: Camera, width: int, height: int) -> tuple[int, int, int, int]:
    """The pixels [left, right) x [top, bottom) that the shadow may reach; all of them where the eye is inside it."""
    dx, dy, dz = camera.shadow_x - camera.x, camera.shadow_y - camera.y, camera.shadow_z - camera.z
    focal = camera.focal * width
    x = (dx * camera.right_x + dy * camera.right_y + dz * camera.right_z) * focal
    y = (dx * camera.down_x + dy * camera.down_y + dz * camera.down_z) * focal
    z = dx * camera.forward_x + dy * camera.forward_y + dz * camera.forward_z
    reach = camera.shadow_radius * 1.2
    if z < -reach:
        return 0, 0, 0, 0
    if z < 2.0 * reach:
        return 0, width, 0, height
    r = reach * focal
    left, right = (x - r) / (z - reach) + 0.5 * width, (x + r) / (z - reach) + 0.5 * width
    top, bottom = (y - r) / (z - reach) + 0.5 * height, (y + r) / (z - reach) + 0.5 * height
    return int(max(left, -1.0)), int(min(right, width) + 1.0), int(max(top, 0.0)), int(min(bottom, height) + 1.0)


@kernel
def _plane(planes: NDArray[np.float32], row: int, stride: int, t: Whole, px: Floats, py: Floats) -> Floats:
    """A plane's value at 16 pixels."""
    # Unsigned, or numba adds to every load the steps that count negative indices from the end.
    x, y, one = np.uint64(row * stride + t), np.uint64((row + 1) * stride + t), np.uint64((row + 2) * stride + t)
    return px * planes[x] + (py * planes[y] + planes[one])


@kernel
def _mip_level(z: Floats, in_sky: Mask) -> Ints:
    """The level that fits a depth on a screen 128 wide; the clouds are painted for level 0."""
    level = (bits(z) >> 23) - (127 + 2)
    level = select(level < spread_int(6), level, spread_int(6))
    return select((level < spread_int(0)) | in_sky, spread_int(0), level)


@kernel
def _sample(texels: NDArray[np.int32], texture: Ints, u: Floats, v: Floats, level: Ints) -> Ints:
    """Texels at (u, v) of a texture's mip level."""
    column, row = truncate(u + 65536.0) & (TEXTURE_SIDE - 1), truncate(v + 65536.0) & (TEXTURE_SIDE - 1)
    # The levels lie one behind another: 4096, 1024, 256 ... texels, and 5461 >> 2 level are left.
    start = 5461 - (spread_int(5461) >> (level << 1))
    return gather(texels, texture * TEXTURE_TEXELS + start + ((row >> level) << (6 - level)) + (column >> level))


@kernel
def draw(
    scene: Triangles,
    figure: Triangles,
    figure_size: int,
    camera: Camera,
    look: Look,
    scratch: Scratch,
    width: int,
    height: int,
    image: NDArray[np.uint8],
    start: int,
) -> None:
    """Draw one frame of the static `scene` and the first `figure_size` triangles of `figure`.

    Args: width: a multiple of 16. image: flat uint8; the frame takes 3 * width * height bytes from `start`.
    """
    count = 1
    half_width = np.float32(0.5) / camera.focal
    half_height = half_width * np.float32(height) / np.float32(width)
    detail = np.float32(width) / np.float32(128.0)
    for group in range(scene.group_box.shape[0]):
        if _is_visible(scene.group_box[group], camera, half_width, half_height, detail):
            first, last = scene.group_start[group], scene.group_start[group + 1]
            count = _draw_triangles(scene, first, last, camera, scratch, count, width, height)
    _draw_triangles(figure, 0, figure_size, camera, scratch, count, width, height)
    _set_up_sky(camera, scratch, look.sky, width)
    _shade(scratch, camera, look, width, height, image, start)
