"""The shape of the world: what can be stood on, what is in the way, where one starts and where one wants to go.

Metres; x points right (east), y ahead (north), z up. Everything solid is a prism that goes down without end: a convex
outline and a plane on top, which may slope. The ground's height at a point is the highest plane over it, and a wall is
ground too high to step on. The three pads and four spawns stand where they stand in every world; a seed moves only the
dressing, rocks and trees, which keep clear of the paths.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.jit import kernel

VOID: Final = -1.0e9  # the ground's height where there is none
BODY_RADIUS: Final = 0.36  # metres, of a player
CELL: Final = 0.5  # metres, of the grid that knows what may be on top, and where there is nothing to run into
_LOW: Final = (-60.0, -40.0)  # the grid's corner
_CELLS: Final = (240, 320)
_HIGH: Final = (_LOW[0] + CELL * _CELLS[0], _LOW[1] + CELL * _CELLS[1])
_MARGIN: Final = 1e-6  # metres, above rounding, by which one solid must be above another to hide it
_SIDES: Final = 8  # of an outline, at most

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Solid:
    """A prism. `outline` runs counter-clockwise; the top is z = slope_x * x + slope_y * y + height."""

    kind: str  # what it is made of, see `scene`
    outline: tuple[Point, ...]
    height: float
    slope_x: float = 0.0
    slope_y: float = 0.0
    depth: float = 3.0  # metres from the top to the underside that is drawn

    def top(self, x: float, y: float) -> float:
        """The height of the top over a point."""
        return self.slope_x * x + self.slope_y * y + self.height


@dataclass(frozen=True, slots=True)
class Spawn:
    """A starting place, facing `yaw` (radians, 0 is north, positive to the right)."""

    x: float
    y: float
    yaw: float


@dataclass(frozen=True, slots=True)
class Pad:
    """A jump pad: a ramp `length` by `width` around (x, y), climbing towards `yaw`, and where it throws the player."""

    x: float
    y: float
    ground: float
    yaw: float
    landing: tuple[float, float, float]
    length: float = 2.6
    width: float = 3.0


@dataclass(frozen=True, slots=True)
class Dressing:
    """A tree, rock or post that stands somewhere: also a narrow solid, drawn as itself."""

    kind: str
    x: float
    y: float
    ground: float
    radius: float  # of the solid part
    height: float
    turn: float


@dataclass(frozen=True, slots=True)
class Island:
    """Everything that has a place."""

    solids: tuple[Solid, ...]
    dressing: tuple[Dressing, ...]
    sun: tuple[float, float, float]  # towards the sun, length 1


class Ground(NamedTuple):
    """The solids as arrays, for kernels: see `height_at`."""

    edges: NDArray[np.float64]  # (solids, 8, 3): inside where a * x + b * y <= c, for as many rows as it has sides
    sides: NDArray[np.int64]  # (solids,)
    tops: NDArray[np.float64]  # (solids, 3): slope_x, slope_y, height
    cell_start: NDArray[np.int64]  # (cells + 1,)
    cell_solids: NDArray[np.int64]  # who may be on top somewhere in a cell; ~index of one that fills it
    around: NDArray[np.float64]  # (cells): no ground within BODY_RADIUS of the cell is higher


SPAWNS: Final = (
    Spawn(-12.0, -21.5, 0.0),
    Spawn(-7.5, -24.0, 0.1),
    Spawn(7.5, -24.0, -0.1),
    Spawn(12.0, -21.5, 0.0),
)
PADS: Final = (
    Pad(-26.3, 4.2, 1.0, math.radians(-72), (-15.0, 70.0, -1.0)),
    Pad(0.0, 19.2, 1.5, 0.0, (0.0, 66.0, -1.0)),
    Pad(26.0, 6.6, 2.0, math.radians(66), (15.0, 70.0, -1.0)),
)


def box(kind: str, x0: float, y0: float, x1: float, y1: float, height: float, depth: float = 3.0) -> Solid:
    """A block with a level top."""
    return Solid(kind, ((x0, y0), (x1, y0), (x1, y1), (x0, y1)), height, depth=depth)


def strip(kind: str, start: Point, end: Point, width: float, z0: float, z1: float, depth: float = 3.0) -> Solid:
    """A ramp, bridge or wall: a rectangle from `start` to `end` whose top goes from z0 to z1."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    ux, uy = dx / length, dy / length
    wx, wy = -uy * width / 2, ux * width / 2
    outline = (
        (start[0] - wx, start[1] - wy),
        (end[0] - wx, end[1] - wy),
        (end[0] + wx, end[1] + wy),
        (start[0] + wx, start[1] + wy),
    )
    climb = (z1 - z0) / length
    return Solid(kind, outline, z0 - climb * (ux * start[0] + uy * start[1]), climb * ux, climb * uy, depth=depth)


def prism(kind: str, x: float, y: float, radius: float, sides: int, height: float, turn: float = 0.0) -> Solid:
    """An upright column with a regular outline."""
    angles = [turn + 2 * math.pi * k / sides for k in range(sides)]
    outline = tuple((x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles)
    return Solid(kind, outline, height)


def _launch_island() -> list[Solid]:
    return [
        Solid("grass", ((-17, -27), (17, -27), (23, -18), (23, 8), (15, 16), (-15, 16), (-23, 8), (-23, -18)), 0.0),
        # The terrace of the spawns, two ramps down, and a parapet with a gap that one can drop through.
        box("paving", -16.0, -26.6, 16.0, -15.0, 3.0),
        strip("planks", (-10.5, -15.0), (-10.5, -9.4), 5.0, 3.0, 0.0),
        strip("planks", (10.5, -15.0), (10.5, -9.4), 5.0, 3.0, 0.0),
        box("brick", -7.4, -15.6, -2.4, -15.0, 3.9),
        box("brick", 2.4, -15.6, 7.4, -15.0, 3.9),
        box("brick", -16.0, -15.6, -13.4, -15.0, 4.4),
        box("brick", 13.4, -15.6, 16.0, -15.0, 4.4),
        # The hall in the middle, round which the ways fork.
        box("brick", -4.6, -7.0, 4.6, 1.6, 5.2),
        box("roof", -3.4, -5.8, 3.4, 0.4, 6.4),
        prism("pillar", -5.2, -7.5, 0.5, 8, 4.4),
        prism("pillar", 5.2, -7.5, 0.5, 8, 4.4),
        # The middle pad's platform, three ramps up, and its jetty.
        box("paving", -8.0, 6.0, 8.0, 15.6, 1.5),
        strip("planks", (0.0, 2.9), (0.0, 6.0), 3.2, 0.0, 1.5),
        strip("planks", (-12.4, 10.5), (-8.0, 10.5), 4.0, 0.0, 1.5),
        strip("planks", (12.4, 10.5), (8.0, 10.5), 4.0, 0.0, 1.5),
        prism("pillar", -2.6, 6.6, 0.5, 8, 5.4),
        prism("pillar", 2.6, 6.6, 0.5, 8, 5.4),
        strip("planks", (0.0, 15.2), (0.0, 20.6), 3.6, 1.5, 1.5, depth=0.8),
        # The left pad's platform: a ramp from the south, steps from the east, a wall with a corner that catches.
        box("sandstone", -22.5, -1.0, -17.0, 7.2, 1.0),
        strip("planks", (-19.6, -5.8), (-19.6, -1.0), 4.0, 0.0, 1.0),
        strip("planks", (-13.8, 4.4), (-17.0, 4.4), 3.2, 0.0, 1.0),
        strip("redwall", (-14.4, -5.0), (-14.4, 1.6), 0.7, 2.4, 2.4),
        strip("redwall", (-14.75, -4.7), (-11.6, -4.7), 0.7, 2.4, 2.4),
        strip("planks", (-22.0, 2.9), (-27.6, 4.62), 3.6, 1.0, 1.0, depth=0.8),
        # The right pad's platform: higher, a narrow ramp from the south, a wide one from the west.
        box("slate", 16.6, 0.6, 22.4, 8.4, 2.0),
        strip("planks", (20.2, -6.6), (20.2, 0.6), 3.0, 0.0, 2.0),
        strip("planks", (11.4, 4.6), (16.6, 4.6), 4.2, 0.0, 2.0),
        strip("bluewall", (14.2, -6.2), (14.2, 0.6), 0.7, 2.8, 2.8),
        strip("bluewall", (11.2, -5.9), (14.55, -5.9), 0.7, 2.8, 2.8),
        strip("planks", (21.8, 4.75), (27.3, 7.2), 3.6, 2.0, 2.0, depth=0.8),
    ]


def _main_island() -> list[Solid]:
    return [
        Solid("grass", ((-18, 58), (18, 58), (34, 70), (34, 96), (18, 110), (-18, 110), (-34, 96), (-34, 70)), -1.0),
        box("paving", -7.0, 74.0, 7.0, 90.0, 0.2),
        strip("planks", (0.0, 70.4), (0.0, 74.0), 5.0, -1.0, 0.2),
        box("brick", -3.0, 80.0, 3.0, 86.0, 5.0),
        box("roof", -2.0, 81.0, 2.0, 85.0, 6.6),
        box("sandstone", -26.0, 78.0, -16.0, 90.0, 1.4),
        strip("planks", (-16.0, 84.0), (-11.0, 84.0), 4.0, 1.4, -1.0),
        box("slate", 16.0, 80.0, 26.0, 92.0, 1.8),
        strip("planks", (16.0, 86.0), (10.5, 86.0), 4.0, 1.8, -1.0),
        prism("pillar", -7.5, 66.0, 0.6, 8, 3.4),
        prism("pillar", 7.5, 66.0, 0.6, 8, 3.4),
        strip("redwall", (-24.0, 70.0), (-24.0, 76.0), 0.7, 1.6, 1.6),
        strip("bluewall", (24.0, 70.0), (24.0, 76.0), 0.7, 1.6, 1.6),
    ]


_SIZES: Final = {"rock": (0.85, 1.1), "pine": (0.9, 5.2), "autumn": (0.28, 6.6), "birch": (0.28, 6.6)}
"""Of dressing: the solid part's radius, and the height. Crowns hang above the camera, or keep it out."""

_WILD: Final = (-1.0, 0.0, 3.0)
"""Heights of the ground that things may stand on: the meadows and the terrace, not the pads' platforms."""

DUMMIES: Final = ((-14.2, -17.4), (14.2, -17.2), (-17.5, -10.5), (17.5, -11.5), (-6.0, 62.0), (10.0, 74.0))
"""Posts that one can practise on; where players who would rather fight than travel spend their time."""

WAYPOINTS: Final[dict[str, Point]] = {
    # the terrace, its ramps and the gap in its parapet
    "terrace west": (-11.0, -19.0), "terrace": (0.0, -20.0), "terrace east": (11.0, -19.0),
    "ramp west": (-10.5, -15.4), "foot west": (-10.5, -8.2), "ramp east": (10.5, -15.4), "foot east": (10.5, -8.2),
    "gap": (0.0, -16.2), "below gap": (0.0, -12.4), "front": (0.0, -9.6),
    # around the hall
    "south-west": (-7.6, -9.2), "west": (-6.7, -3.0), "north-west": (-6.2, 2.5),
    "south-east": (7.6, -9.2), "east": (6.7, -3.0), "north-east": (6.2, 2.5),
    # to the middle pad
    "middle foot": (0.0, 2.3), "gate": (0.0, 6.6), "bend west": (-10.6, 6.4), "middle west": (-13.0, 10.4),
    "middle ledge west": (-7.4, 10.5), "bend east": (9.4, 7.2), "middle east": (13.0, 10.4),
    "middle ledge east": (7.4, 10.5), "middle deck": (0.0, 14.0), "middle": (0.0, 20.0),
    # to the left pad
    "left south": (-19.6, -6.6), "left step": (-19.6, -0.4), "left east": (-13.0, 4.4), "left ledge": (-17.6, 4.4),
    "left deck": (-21.2, 2.7), "left": (-27.2, 4.5),
    # to the right pad
    "right south": (20.2, -7.6), "right step": (20.2, 1.2), "right west": (10.6, 4.6), "right ledge": (17.2, 4.6),
    "right deck": (21.4, 4.6), "right": (26.8, 7.0),
}  # fmt: skip

WAYS: Final = (
    "terrace west - ramp west - foot west", "terrace east - ramp east - foot east", "terrace west - terrace",
    "terrace - terrace east", "terrace - gap - below gap - front", "terrace west - gap", "terrace east - gap",
    "terrace - ramp west", "terrace - ramp east",
    "foot west - south-west - front - south-east - foot east", "foot west - left south - left step - left deck - left",
    "foot east - right south - right step - right deck - right", "south-west - west - north-west",
    "south-east - east - north-east", "foot west - west", "foot east - east",
    "north-west - middle foot - gate - middle deck - middle", "north-east - middle foot",
    "north-west - left east - left ledge - left deck", "north-west - bend west - middle west - middle ledge west",
    "middle ledge west - middle deck", "north-east - right west - right ledge - right deck",
    "north-east - bend east - middle east - middle ledge east - middle deck", "left east - bend west",
    "right west - bend east",
)  # fmt: skip


def _neighbours() -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {name: set() for name in WAYPOINTS}
    for way in WAYS:
        names = way.split(" - ")
        for a, b in itertools.pairwise(names):
            found[a].add(b)
            found[b].add(a)
    return {name: tuple(sorted(others)) for name, others in found.items()}


NEIGHBOURS: Final = _neighbours()
"""The waypoints that one can walk to straight from each."""

_PATHS: Final = (
    *((WAYPOINTS[a], WAYPOINTS[b]) for a, others in NEIGHBOURS.items() for b in others if a < b),
    *(((s.x, s.y), WAYPOINTS[name]) for s in SPAWNS for name in ("terrace", "gap", "ramp west", "ramp east")),
)


def build_island(rng: np.random.Generator) -> Island:
    """The world that a seed gives."""
    solids = _launch_island() + _main_island()
    dressing = [Dressing("dummy", x, y, _height(solids, x, y), 0.22, 1.7, 0.0) for x, y in DUMMIES]
    launch, main = (-22.0, -26.0, 22.0, 15.0), (-33.0, 59.0, 33.0, 109.0)
    for kind, area, count in (
        ("autumn", (-22.0, -17.0, -9.0, 14.0), 7),
        ("pine", (9.0, -17.0, 22.0, 14.0), 7),
        ("birch", (-15.0, -26.0, 15.0, -16.0), 3),
        ("rock", launch, 9),
        ("autumn", main, 4),
        ("pine", main, 6),
        ("birch", main, 3),
        ("rock", main, 6),
    ):
        _scatter(rng, solids, dressing, kind, area, count)
    elevation, azimuth = math.radians(rng.uniform(38, 58)), math.radians(rng.uniform(100, 260))
    sun = (
        math.cos(elevation) * math.sin(azimuth),
        math.cos(elevation) * math.cos(azimuth),
        math.sin(elevation),
    )
    return Island(tuple(solids), tuple(dressing), sun)


def _scatter(
    rng: np.random.Generator,
    solids: list[Solid],
    dressing: list[Dressing],
    kind: str,
    area: tuple[float, float, float, float],
    count: int,
) -> None:
    """Put up to `count` things where they are in nobody's way."""
    for _ in range(60 * count):
        if count == 0:
            return
        x, y = float(rng.uniform(area[0], area[2])), float(rng.uniform(area[1], area[3]))
        size = float(rng.uniform(0.85, 1.2))
        crowded = any(math.hypot(x - d.x, y - d.y) < 2.2 for d in dressing)
        if crowded or any(_distance((x, y), *path) < 1.9 for path in _PATHS):
            continue
        around = [_height(solids, x + dx, y + dy) for dx in (-1.1, 0, 1.1) for dy in (-1.1, 0, 1.1)]
        if max(around) - min(around) < 0.05 and around[0] in _WILD:
            radius, height = (part * size for part in _SIZES[kind])
            dressing.append(Dressing(kind, x, y, around[0], radius, height, float(rng.uniform(0, math.pi))))
            count -= 1


def _distance(p: Point, a: Point, b: Point) -> float:
    """From a point to the segment a b."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    along = ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / (dx * dx + dy * dy)
    along = min(1.0, max(0.0, along))
    return math.hypot(p[0] - a[0] - along * dx, p[1] - a[1] - along * dy)


def _contains(solid: Solid, x: float, y: float) -> bool:
    corners = solid.outline
    return all(
        (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0
        for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True)
    )


def _height(solids: list[Solid], x: float, y: float) -> float:
    return max((s.top(x, y) for s in solids if _contains(s, x, y)), default=VOID)


def build_ground(island: Island) -> Ground:
    """The island's solids and dressing as arrays that `height_at` reads."""
    solids = list(island.solids)
    solids += [prism("", d.x, d.y, d.radius, 6, d.ground + d.height, d.turn) for d in island.dressing]
    edges = np.zeros((len(solids), _SIDES, 3))
    tops = np.array([(s.slope_x, s.slope_y, s.height) for s in solids])
    for index, solid in enumerate(solids):
        corners = solid.outline
        for row, ((ax, ay), (bx, by)) in enumerate(zip(corners, corners[1:] + corners[:1], strict=True)):
            normal = (by - ay, ax - bx)
            edges[index, row] = (*normal, normal[0] * ax + normal[1] * ay)
    sides = np.array([len(s.outline) for s in solids])
    start, members = _solids_on_top(edges, tops, solids)
    return Ground(edges, sides, tops, start, members, _highest_around(edges, tops, solids).ravel())


def _solids_on_top(
    edges: NDArray[np.float64], tops: NDArray[np.float64], solids: list[Solid]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`cell_start` and `cell_solids`: who reaches into a cell, without those that lie under one that fills it."""
    half = CELL / 2
    filled_to = np.full(_CELLS, VOID)  # a cell's ground is nowhere lower
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []  # cells, solids, highest points
    for index, (solid, planes, (slope_x, slope_y, height)) in enumerate(zip(solids, edges, tops, strict=True)):
        i, j, px, py = _cells_near(solid, half)
        reaches, fills = np.ones((px.size, py.size), np.bool_), np.ones((px.size, py.size), np.bool_)
        for a, b, c in planes[: len(solid.outline)]:
            middle, spread = a * px + b * py, half * (abs(a) + abs(b))
            reaches &= middle - spread <= c
            fills &= middle + spread <= c
        top, spread = slope_x * px + slope_y * py + height, half * (abs(slope_x) + abs(slope_y))
        filled_to[i, j] = np.maximum(filled_to[i, j], np.where(fills, top - spread, VOID))
        numbers = np.arange(math.prod(_CELLS)).reshape(_CELLS)[i, j]
        parts.append((numbers[reaches], np.where(fills, ~index, index)[reaches], (top + spread)[reaches]))
    cells, members, highest = (np.concatenate(part) for part in zip(*parts, strict=True))
    seen = highest + _MARGIN >= filled_to.ravel()[cells]
    cells, members = cells[seen], members[seen]
    order = np.argsort(cells, kind="stable")
    return np.searchsorted(cells[order], np.arange(math.prod(_CELLS) + 1)), members[order]


def _highest_around(edges: NDArray[np.float64], tops: NDArray[np.float64], solids: list[Solid]) -> NDArray[np.float64]:
    """A bound on the ground near each cell: of the solids that come near it, the top's highest point there."""
    reach = BODY_RADIUS + CELL * math.sqrt(0.5)
    highest = np.full(_CELLS, VOID)
    for solid, planes, (slope_x, slope_y, height) in zip(solids, edges, tops, strict=True):
        i, j, px, py = _cells_near(solid, reach)
        near = np.ones((px.size, py.size), np.bool_)
        for a, b, c in planes[: len(solid.outline)]:
            near &= a * px + b * py <= c + reach * math.hypot(a, b)
        top = slope_x * px + slope_y * py + height + reach * math.hypot(slope_x, slope_y)
        highest[i, j] = np.maximum(highest[i, j], np.where(near, top, VOID))
    return highest


def _cells_near(solid: Solid, reach: float) -> tuple[slice, slice, NDArray[np.float64], NDArray[np.float64]]:
    """The cells whose middles lie within `reach` of a solid's bounding box: where, and the middles' x and y."""
    i, x = _span_near([c[0] for c in solid.outline], reach, _LOW[0], _CELLS[0])
    j, y = _span_near([c[1] for c in solid.outline], reach, _LOW[1], _CELLS[1])
    return i, j, x[:, None], y[None, :]


def _span_near(corners: list[float], reach: float, low: float, cells: int) -> tuple[slice, NDArray[np.float64]]:
    """The same along one axis."""
    middles: NDArray[np.float64] = low + CELL * (np.arange(cells, dtype=np.float64) + 0.5)
    first = int(np.searchsorted(middles, min(corners) - reach))
    last = int(np.searchsorted(middles, max(corners) + reach, side="right"))
    return slice(first, last), middles[first:last]


@kernel
def _is_inside(ground: Ground, solid: int, x: float, y: float) -> bool:
    for e in range(ground.sides[solid]):
        if ground.edges[solid, e, 0] * x + ground.edges[solid, e, 1] * y > ground.edges[solid, e, 2]:
            return False
    return True


@kernel
def _cell_of(x: float, y: float) -> int:
    """The number of the cell in which a point within the grid lies."""
    return int((x - _LOW[0]) * (1.0 / CELL)) * _CELLS[1] + int((y - _LOW[1]) * (1.0 / CELL))


@kernel
def height_at(ground: Ground, x: float, y: float) -> float:
    """The height of the ground over a point, or VOID."""
    best = VOID
    if not (_LOW[0] <= x < _HIGH[0] and _LOW[1] <= y < _HIGH[1]):
        return best
    cell = _cell_of(x, y)
    for k in range(ground.cell_start[cell], ground.cell_start[cell + 1]):
        covers = ground.cell_solids[k] < 0
        s = ~ground.cell_solids[k] if covers else ground.cell_solids[k]
        top = ground.tops[s, 0] * x + ground.tops[s, 1] * y + ground.tops[s, 2]
        if top > best and (covers or _is_inside(ground, s, x, y)):
            best = top
    return best


@kernel
def is_open(ground: Ground, x: float, y: float, limit: float) -> bool:
    """Whether it is plain that no ground within BODY_RADIUS of a point is above `limit`: one look, no geometry."""
    if not (_LOW[0] <= x < _HIGH[0] and _LOW[1] <= y < _HIGH[1]):
        return False
    return ground.around[_cell_of(x, y)] <= limit
