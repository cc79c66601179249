"""Makes an island visible: textures, triangles and light, once for each dressing seed."""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from envs.jit import entry
from envs.standin.island import (
    PADS,
    VOID,
    Dressing,
    Ground,
    Island,
    Pad,
    Point,
    Solid,
    build_ground,
    build_island,
    height_at,
    prism,
)
from envs.standin.mesh import Mesh, Vector
from envs.standin.raster import Look, Triangles, material
from envs.standin.textures import paint_textures, texture

_FOG: Final = (196.0, 216.0, 236.0, 1.0 / 190.0)  # red, green, blue, and density a metre
_TILE: Final = 3.6  # metres, the largest side of a lit tile
_FAR_TILE: Final = 9.0  # on the main island, which is mostly seen from afar

_FAR_ISLANDS: Final = (  # x, y, z, radius
    (-95.0, 60.0, -6.0, 12.0),
    (88.0, 90.0, 9.0, 9.0),
    (70.0, -60.0, -12.0, 14.0),
    (-80.0, -70.0, 4.0, 10.0),
)

_TOPS: Final = {
    "grass": material(texture("grass"), 1.0, 1.0, 1.0),
    "paving": material(texture("paving"), 1.0, 1.0, 1.0),
    "brick": material(texture("paving"), 0.9, 0.86, 0.8),
    "planks": material(texture("planks"), 1.1, 1.1, 1.1),
    "roof": material(texture("tiles"), 1.05, 1.05, 1.05),
    "pillar": material(texture("plain"), 0.9, 0.88, 0.82),
    "sandstone": material(texture("sandstone"), 1.05, 0.98, 0.92),
    "slate": material(texture("slate"), 0.95, 1.0, 1.1),
    "redwall": material(texture("plain"), 0.62, 0.2, 0.16),
    "bluewall": material(texture("plain"), 0.18, 0.3, 0.62),
}
_SIDES: Final = {
    "grass": material(texture("rock"), 1.0, 0.88, 0.74),
    "paving": material(texture("brick"), 1.0, 1.0, 1.0),
    "brick": material(texture("brick"), 1.05, 1.0, 0.95),
    "planks": material(texture("planks"), 0.8, 0.78, 0.76),
    "roof": material(texture("tiles"), 0.95, 0.95, 0.95),
    "pillar": material(texture("sandstone"), 1.1, 1.15, 1.25),
    "sandstone": material(texture("sandstone"), 1.0, 0.92, 0.84),
    "slate": material(texture("slate"), 0.9, 0.95, 1.05),
    "redwall": material(texture("brick"), 1.25, 0.5, 0.42),
    "bluewall": material(texture("brick"), 0.44, 0.66, 1.35),
}
_LEAVES: Final = {"autumn": (0.86, 0.42, 0.14), "birch": (0.62, 0.78, 0.26), "pine": (0.16, 0.42, 0.26)}


@dataclass(frozen=True, slots=True)
class World:
    """All that a dressing seed decides: shape and looks. Shared by every environment that has the seed."""

    seed: int
    island: Island
    ground: Ground
    triangles: Triangles
    look: Look


@lru_cache(maxsize=8)
def build_world(seed: int) -> World:
    """The world of a dressing seed."""
    shape, paint, carve = (np.random.default_rng([seed, part]) for part in range(3))
    island = build_island(shape)
    ground = build_ground(island)
    mesh = Mesh()
    for solid in island.solids:
        _add_top(mesh, ground, solid)
        _add_sides(mesh, ground, solid)
        if solid.kind == "grass":
            _add_underside(mesh, solid)
    for thing in island.dressing:
        _DRESSING[thing.kind](mesh, thing, carve)
    for pad in PADS:
        _add_pad(mesh, pad)
    _add_landmarks(mesh)
    for x, y, z, radius in _FAR_ISLANDS:
        _add_far_island(mesh, x, y, z, radius)
    shade = build_ground(Island((*island.solids, *_crowns(island)), island.dressing, island.sun))
    look = Look(paint_textures(paint), np.array(_FOG, np.float32), texture("sky"))
    return World(seed, island, ground, mesh.bake(shade, island.sun), look)


def _crowns(island: Island) -> list[Solid]:
    """Tree crowns as columns, for their shadows only; low enough not to shade the crowns themselves."""
    return [
        prism("", d.x, d.y, 1.2, 6, d.ground + 0.45 * d.height, d.turn) for d in island.dressing if d.kind in _LEAVES
    ]


def _tile(solid: Solid) -> float:
    return _FAR_TILE if solid.outline[0][1] > 50 else _TILE


def _add_top(mesh: Mesh, ground: Ground, solid: Solid) -> None:
    """The top in tiles that each get their own light, without those that lie under something."""
    xs, ys = [c[0] for c in solid.outline], [c[1] for c in solid.outline]
    size = _tile(solid)
    columns = max(1, math.ceil((max(xs) - min(xs)) / size))
    rows = max(1, math.ceil((max(ys) - min(ys)) / size))
    for i in range(columns):
        for j in range(rows):
            low = (min(xs) + (max(xs) - min(xs)) * i / columns, min(ys) + (max(ys) - min(ys)) * j / rows)
            high = (min(xs) + (max(xs) - min(xs)) * (i + 1) / columns, min(ys) + (max(ys) - min(ys)) * (j + 1) / rows)
            tile = _clip(list(solid.outline), low, high)
            corners = [(x, y, solid.top(x, y)) for x, y in tile]
            if len(corners) >= 3 and not _buried(ground, corners):
                mesh.polygon(corners, _TOPS[solid.kind])


def _clip(outline: list[Point], low: Point, high: Point) -> list[Point]:
    """The part of a convex outline inside a rectangle (Sutherland and Hodgman, 1974)."""
    for axis, sign, limit in ((0, 1, low[0]), (0, -1, high[0]), (1, 1, low[1]), (1, -1, high[1])):
        kept: list[Point] = []
        for p, q in zip(outline, outline[1:] + outline[:1], strict=True):
            dp, dq = sign * (p[axis] - limit), sign * (q[axis] - limit)
            if dp >= 0:
                kept.append(p)
            if (dp >= 0) != (dq >= 0):
                f = dp / (dp - dq)
                kept.append((p[0] + f * (q[0] - p[0]), p[1] + f * (q[1] - p[1])))
        outline = kept
    return outline


def _buried(ground: Ground, corners: list[Vector]) -> bool:
    """Whether other solids stand over all of a tile."""
    x, y, z = (sum(c[k] for c in corners) / len(corners) for k in range(3))
    probes = np.array([(x, y, z), *((0.04 * x + 0.96 * cx, 0.04 * y + 0.96 * cy, cz) for cx, cy, cz in corners)])
    return bool(np.all(_heights(ground, probes) > probes[:, 2] + 0.02))


def _heights(ground: Ground, points: NDArray[np.float64]) -> NDArray[np.float64]:
    out = np.empty(len(points))
    _fill_heights(ground, points, out)
    return out


@entry
def _fill_heights(ground: Ground, points: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    for k in range(points.shape[0]):
        out[k] = height_at(ground, points[k, 0], points[k, 1])


def _add_sides(mesh: Mesh, ground: Ground, solid: Solid) -> None:
    """The visible part of the walls, in panels."""
    corners = solid.outline
    for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
        length = math.hypot(b[0] - a[0], b[1] - a[1])
        out = ((b[1] - a[1]) / length * 0.05, (a[0] - b[0]) / length * 0.05)
        count = math.ceil(length / (1.15 * _tile(solid)))
        points = [(a[0] + (b[0] - a[0]) * k / count, a[1] + (b[1] - a[1]) * k / count) for k in range(count + 1)]
        for p, q in pairwise(points):
            _add_panel(mesh, ground, solid, p, q, out)


def _add_panel(mesh: Mesh, ground: Ground, solid: Solid, p: Point, q: Point, out: Point) -> None:
    at = [(p[0] + (q[0] - p[0]) * f + out[0], p[1] + (q[1] - p[1]) * f + out[1], 0.0) for f in (0.03, 0.35, 0.65, 0.97)]
    outside = _heights(ground, np.array(at))
    top_p, top_q = solid.top(*p), solid.top(*q)
    if min(outside) >= max(top_p, top_q) - 0.01:
        return
    floor = float(min(outside))
    bottom = floor if floor > VOID else min(top_p, top_q) - solid.depth
    bottom = min(bottom, top_p, top_q)
    steps = max(1, math.ceil((max(top_p, top_q) - bottom) / 3.6))
    for k in range(steps):
        low, high = k / steps, (k + 1) / steps
        mesh.polygon(
            [
                (p[0], p[1], bottom + (top_p - bottom) * low),
                (q[0], q[1], bottom + (top_q - bottom) * low),
                (q[0], q[1], bottom + (top_q - bottom) * high),
                (p[0], p[1], bottom + (top_p - bottom) * high),
            ],
            _SIDES[solid.kind],
        )


def _add_underside(mesh: Mesh, solid: Solid) -> None:
    """The island's root: rock that narrows downwards."""
    stone = material(texture("rock"), 0.8, 0.72, 0.66)
    cx = sum(c[0] for c in solid.outline) / len(solid.outline)
    cy = sum(c[1] for c in solid.outline) / len(solid.outline)
    z0 = solid.height - solid.depth
    rings = [(1.0, z0), (0.62, z0 - 6.0), (0.12, z0 - 15.0)]
    for (f, z), (g, w) in pairwise(rings):
        for (ax, ay), (bx, by) in zip(solid.outline, solid.outline[1:] + solid.outline[:1], strict=True):
            top = [(cx + f * (x - cx), cy + f * (y - cy), z) for x, y in ((bx, by), (ax, ay))]
            low = [(cx + g * (x - cx), cy + g * (y - cy), w) for x, y in ((ax, ay), (bx, by))]
            mesh.polygon([*top, *low], stone)


def _ring(x: float, y: float, z: float, radius: float, sides: int, turn: float) -> list[Vector]:
    angles = [turn + 2 * math.pi * k / sides for k in range(sides)]
    return [(x + radius * math.cos(a), y + radius * math.sin(a), z) for a in angles]


def _add_tube(mesh: Mesh, low: list[Vector], high: list[Vector], stuff: int) -> None:
    for k in range(len(low)):
        n = (k + 1) % len(low)
        mesh.quad(low[k], low[n], high[n], high[k], stuff)


def _add_cone(mesh: Mesh, base: list[Vector], tip: Vector, stuff: int) -> None:
    for k in range(len(base)):
        mesh.polygon([base[k], base[(k + 1) % len(base)], tip], stuff)


_GOLDEN: Final = (1 + math.sqrt(5)) / 2
_ICOSAHEDRON: Final = np.array(
    [(s, t * _GOLDEN, 0) for s in (-1, 1) for t in (-1, 1)]
    + [(0, s, t * _GOLDEN) for s in (-1, 1) for t in (-1, 1)]
    + [(t * _GOLDEN, 0, s) for s in (-1, 1) for t in (-1, 1)]
) / math.hypot(1, _GOLDEN)  # fmt: skip


def _add_ball(mesh: Mesh, centre: Vector, size: Vector, rough: float, stuff: int, rng: np.random.Generator) -> None:
    """An uneven ball of twenty triangles."""
    corners = _ICOSAHEDRON * rng.uniform(1 - rough, 1 + rough, (12, 1)) * np.array(size) + np.array(centre)
    near = np.linalg.norm(_ICOSAHEDRON[:, None] - _ICOSAHEDRON[None], axis=2) < 1.2
    for i in range(12):
        for j in range(i + 1, 12):
            for k in range(j + 1, 12):
                if near[i, j] and near[j, k] and near[i, k]:
                    a, b, c = (_ICOSAHEDRON[m] for m in (i, j, k))
                    outward = float(np.dot(np.cross(b - a, c - a), a)) > 0
                    order = (i, j, k) if outward else (i, k, j)
                    mesh.polygon([_vector(corners[m]) for m in order], stuff)


def _vector(p: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Vector:
    return float(p[0]), float(p[1]), float(p[2])


def _add_leaf_tree(mesh: Mesh, d: Dressing, rng: np.random.Generator) -> None:
    pale = (1.9, 1.9, 1.9) if d.kind == "birch" else (1.0, 1.0, 1.0)
    trunk = material(texture("bark"), *pale)
    crown = d.ground + 0.7 * d.height
    _add_tube(
        mesh,
        _ring(d.x, d.y, d.ground, 0.3, 5, d.turn),
        _ring(d.x, d.y, crown, 0.18, 5, d.turn),
        trunk,
    )
    red, green, blue = (c * rng.uniform(0.85, 1.15) for c in _LEAVES[d.kind])
    leaf = material(texture("leaves"), red, green, blue)
    _add_ball(mesh, (d.x, d.y, crown), (1.45, 1.45, 1.25), 0.16, leaf, rng)
    tuft = _ring(d.x + 0.7 * math.cos(d.turn), d.y + 0.7 * math.sin(d.turn), crown + 0.7, 0.95, 5, d.turn)
    _add_cone(mesh, tuft, (d.x + 0.6 * math.cos(d.turn), d.y + 0.6 * math.sin(d.turn), crown + 1.8), leaf)


def _add_pine(mesh: Mesh, d: Dressing, rng: np.random.Generator) -> None:
    red, green, blue = (c * rng.uniform(0.85, 1.15) for c in _LEAVES[d.kind])
    leaf = material(texture("needles"), red, green, blue)
    _add_tube(
        mesh,
        _ring(d.x, d.y, d.ground, 0.26, 5, d.turn),
        _ring(d.x, d.y, d.ground + 0.4 * d.height, 0.2, 5, d.turn),
        material(texture("bark"), 0.9, 0.8, 0.75),
    )
    for low, high, radius in ((0.12, 0.55, 1.3), (0.38, 0.8, 1.05), (0.64, 1.06, 0.75)):
        base = _ring(d.x, d.y, d.ground + low * d.height, radius, 6, d.turn + 3 * low)
        _add_cone(mesh, base, (d.x, d.y, d.ground + high * d.height), leaf)
        if low < 0.2:  # the lowest is seen from below
            _add_cone(mesh, base[::-1], (d.x, d.y, d.ground + (low + 0.04) * d.height), leaf)


def _add_rock(mesh: Mesh, d: Dressing, rng: np.random.Generator) -> None:
    tone = rng.uniform(0.85, 1.1)
    stone = material(texture("rock"), tone, tone, tone)
    size = (0.98 * d.radius, 0.98 * d.radius, 0.8 * d.height)
    _add_ball(mesh, (d.x, d.y, d.ground + 0.25 * d.height), size, 0.12, stone, rng)


def _add_dummy(mesh: Mesh, d: Dressing, rng: np.random.Generator) -> None:
    wood, straw = material(texture("bark"), 1.1, 1.0, 0.9), material(texture("cloth"), 0.86, 0.7, 0.36)
    x, y, z = d.x, d.y, d.ground
    mesh.upright_box((x - 0.08, y - 0.08, z), (x + 0.08, y + 0.08, z + 0.7), wood)
    mesh.upright_box((x - 0.24, y - 0.18, z + 0.6), (x + 0.24, y + 0.18, z + 1.3), straw, floating=True)
    mesh.upright_box((x - 0.6, y - 0.07, z + 1.08), (x + 0.6, y + 0.07, z + 1.2), wood)
    _add_ball(mesh, (x, y, z + 1.5), (0.2, 0.2, 0.22), 0.05, straw, rng)


_DRESSING: Final = {
    "autumn": _add_leaf_tree,
    "birch": _add_leaf_tree,
    "pine": _add_pine,
    "rock": _add_rock,
    "dummy": _add_dummy,
}


def _add_pad(mesh: Mesh, pad: Pad) -> None:
    """A yellow wedge with chevrons, between two lit posts."""
    yellow = material(texture("plain"), 1.0, 0.78, 0.06)
    chevrons = material(texture("pad"), 1.35, 1.35, 1.2)
    ahead = (math.sin(pad.yaw), math.cos(pad.yaw))
    right = (ahead[1], -ahead[0])

    def at(across: float, along: float, up: float) -> Vector:
        return (
            pad.x + right[0] * across + ahead[0] * along,
            pad.y + right[1] * across + ahead[1] * along,
            pad.ground + up,
        )

    w, half, rise = pad.width / 2, pad.length / 2, 0.85
    top = [at(-w, -half, 0.04), at(w, -half, 0.04), at(w, half, rise), at(-w, half, rise)]
    mesh.textured(top, [(0, 0), (0, 64), (64, 64), (64, 0)], chevrons)
    mesh.polygon([at(w, -half, 0), at(w, half, 0), at(w, half, rise), at(w, -half, 0.04)], yellow)
    mesh.polygon([at(-w, half, 0), at(-w, -half, 0), at(-w, -half, 0.04), at(-w, half, rise)], yellow)
    mesh.polygon([at(w, half, 0), at(-w, half, 0), at(-w, half, rise), at(w, half, rise)], yellow)
    glow = material(texture("plain"), 1.6, 1.25, 0.2)
    for side in (-w - 0.12, w + 0.12):
        x, y, z = at(side, 0.8, 0.0)
        mesh.upright_box((x - 0.13, y - 0.13, z), (x + 0.13, y + 0.13, z + 2.0), yellow)
        mesh.upright_box((x - 0.2, y - 0.2, z + 2.0), (x + 0.2, y + 0.2, z + 2.4), glow)


def _add_landmarks(mesh: Mesh) -> None:
    """What tells one way from another from afar: a white gate, red flags to the left, blue banners to the right."""
    white = material(texture("sandstone"), 1.15, 1.2, 1.3)
    mesh.upright_box((-3.3, 6.2, 5.2), (3.3, 7.0, 5.9), white, floating=True)
    pole = material(texture("metal"), 0.9, 0.9, 0.9)
    for x, y, z, colour in (
        (-22.0, -0.5, 1.0, (0.85, 0.16, 0.12)),
        (-22.0, 6.7, 1.0, (0.85, 0.16, 0.12)),
        (-14.4, -5.0, 2.4, (0.85, 0.16, 0.12)),
        (21.9, 1.1, 2.0, (0.14, 0.3, 0.85)),
        (21.9, 7.9, 2.0, (0.14, 0.3, 0.85)),
        (14.2, -6.2, 2.8, (0.14, 0.3, 0.85)),
    ):
        mesh.upright_box((x - 0.06, y - 0.06, z), (x + 0.06, y + 0.06, z + 4.4), pole)
        cloth = material(texture("cloth"), *colour)
        for near, far in ((0.0, 1.3), (1.3, 0.0)):  # both sides
            outline = ((near, 2.4), (far, 2.4), (far, 4.3), (near, 4.3))
            mesh.polygon([(x + f, y - 0.5 * f, z + h) for f, h in outline], cloth)


def _add_far_island(mesh: Mesh, x: float, y: float, z: float, radius: float) -> None:
    turf, stone = material(texture("grass"), 1.0, 1.0, 1.0), material(texture("rock"), 0.9, 0.82, 0.76)
    rim = _ring(x, y, z, radius, 8, 0.3)
    _add_cone(mesh, rim, (x, y, z + 0.16 * radius), turf)
    _add_cone(mesh, rim[::-1], (x, y, z - 1.3 * radius), stone)
