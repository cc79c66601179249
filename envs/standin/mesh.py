"""Collects triangles, gives them baked light, and sorts them into groups for the rasteriser."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from envs.jit import entry, kernel
from envs.simd import LANES
from envs.standin.island import Ground, height_at
from envs.standin.raster import MAX_TRIANGLES, PLANES, Triangles, aligned

TEXELS_PER_METRE: Final = 16.0
_GROUP: Final = 12.0  # metres, the side of the squares that triangles are grouped by
_VISIBLE_FROM: Final = 90.0  # metres, at which a triangle of 1 m2 shrinks to about a pixel of a small frame
_REACHES: Final = (20.0, 40.0, 60.0, 80.0, 1000.0)  # metres, beyond which groups of small triangles are left out
_AMBIENT: Final = 0.52
_SUNLIGHT: Final = 0.72

Vector = tuple[float, float, float]


class Mesh:
    """Triangles being collected; front sides are counter-clockwise."""

    def __init__(self) -> None:
        self._corners: list[tuple[Vector, Vector, Vector]] = []
        self._uv: list[tuple[float, ...]] = []
        self._material: list[int] = []

    def __len__(self) -> int:
        return len(self._corners)

    def polygon(self, corners: list[Vector], material: int) -> None:
        """A flat convex polygon, textured by its place in the world."""
        normal = _cross(corners[0], corners[1], corners[2])
        size = math.hypot(*normal)
        if size < 1e-6:
            return
        normal = (normal[0] / size, normal[1] / size, normal[2] / size)
        if abs(normal[2]) > 0.5:
            uv = [(p[0], p[1]) for p in corners]
        else:  # along the wall, and down it
            along = (-normal[1], normal[0])
            uv = [(p[0] * along[0] + p[1] * along[1], -p[2]) for p in corners]
        self.textured(corners, [(u * TEXELS_PER_METRE, v * TEXELS_PER_METRE) for u, v in uv], material)

    def textured(self, corners: list[Vector], uv: list[tuple[float, float]], material: int) -> None:
        """A flat convex polygon with given texture positions, in texels."""
        shift_u, shift_v = (64 * math.floor(min(t[k] for t in uv) / 64) for k in (0, 1))
        near = [(u - shift_u, v - shift_v) for u, v in uv]  # small numbers keep their precision
        for k in range(1, len(corners) - 1):
            if math.hypot(*_cross(corners[0], corners[k], corners[k + 1])) < 2e-4:
                continue
            self._corners.append((corners[0], corners[k], corners[k + 1]))
            self._uv.append((near[0][0], near[k][0], near[k + 1][0], near[0][1], near[k][1], near[k + 1][1]))
            self._material.append(material)

    def quad(self, a: Vector, b: Vector, c: Vector, d: Vector, material: int) -> None:
        """A four-cornered polygon."""
        self.polygon([a, b, c, d], material)

    def upright_box(self, low: Vector, high: Vector, material: int, floating: bool = False) -> None:
        """A block with faces along the axes; the lower one only where it floats."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        self.quad((x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1), material)
        if floating:
            self.quad((x0, y1, z0), (x1, y1, z0), (x1, y0, z0), (x0, y0, z0), material)
        self.quad((x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1), material)
        self.quad((x1, y1, z0), (x0, y1, z0), (x0, y1, z1), (x1, y1, z1), material)
        self.quad((x0, y1, z0), (x0, y0, z0), (x0, y0, z1), (x0, y1, z1), material)
        self.quad((x1, y0, z0), (x1, y1, z0), (x1, y1, z1), (x1, y0, z1), material)

    def bake(self, ground: Ground, sun: Vector) -> Triangles:
        """Light every corner and group the triangles by place.

        Raises: ValueError: more triangles than the rasteriser can tell apart.
        """
        if len(self) + 2 * LANES > MAX_TRIANGLES:
            raise ValueError(f"{len(self)} triangles, but a picture can hold {MAX_TRIANGLES - 2 * LANES}")
        corners = np.array(self._corners)  # (T, 3, 3)
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        areas = np.linalg.norm(normals, axis=1) / 2
        normals /= 2 * areas[:, None]
        light = np.empty((len(corners), 3))
        _bake_light(ground, corners, normals, np.array(sun), light)
        rows = np.concatenate([corners.reshape(-1, 9), np.array(self._uv), light], axis=1)

        middle = corners.mean(axis=1)
        reach = np.array(_REACHES)[np.searchsorted(_REACHES[:-1], _VISIBLE_FROM * np.sqrt(areas))]
        key = np.floor(middle[:, 1] / _GROUP) * 1e3 + np.floor(middle[:, 0] / _GROUP) + 1e6 * reach
        members = [np.flatnonzero(key == k) for k in np.unique(key)]
        starts = np.cumsum([0] + [-(-len(m) // LANES) * LANES for m in members])
        stride = int(starts[-1]) | LANES  # rows apart by an odd number of vectors
        planes = aligned(PLANES * stride, np.float32).reshape(PLANES, stride)
        materials = aligned(stride, np.int32)
        boxes = np.empty((len(members), 7), np.float32)
        for index, (start, member) in enumerate(zip(starts, members, strict=False)):
            place = slice(start, start + len(member))
            planes[:, place] = rows[member].T
            materials[place] = np.array(self._material, np.int32)[member]
            low, high = corners[member].min((0, 1)), corners[member].max((0, 1))
            boxes[index] = np.concatenate([(low + high) / 2, (high - low) / 2, reach[member[:1]]])
        return Triangles(planes.ravel(), materials, starts.astype(np.int64), boxes)


def _cross(a: Vector, b: Vector, c: Vector) -> Vector:
    """The normal of a triangle, as long as twice its area."""
    ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    return uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx


@entry
def _bake_light(
    ground: Ground,
    corners: NDArray[np.float64],
    normals: NDArray[np.float64],
    sun: NDArray[np.float64],
    light: NDArray[np.float64],
) -> None:
    """Sunlight with shadows, and sky light that is weaker in nooks, at each corner of each triangle."""
    for t in range(corners.shape[0]):
        n = normals[t]
        facing = max(0.0, n[0] * sun[0] + n[1] * sun[1] + n[2] * sun[2])
        for k in range(3):
            # A little off the surface and into the triangle, so that it does not shade itself.
            x = _inward(corners, t, k, 0) + n[0] * 0.12
            y = _inward(corners, t, k, 1) + n[1] * 0.12
            z = _inward(corners, t, k, 2) + n[2] * 0.12
            lit = 1.0
            for step in range(1, 60):
                far = 0.4 * step
                if height_at(ground, x + sun[0] * far, y + sun[1] * far) > z + sun[2] * far:
                    lit = 0.0
                    break
            hidden = 0.0
            for direction in range(8):
                angle = direction * (math.pi / 4.0)
                for reach in (0.7, 1.8):
                    over = height_at(ground, x + math.cos(angle) * reach, y + math.sin(angle) * reach)
                    if over > z + 0.6 * reach:
                        hidden += 1.0 / 16.0
            sky = (0.75 + 0.25 * n[2]) * (1.0 - 0.5 * hidden)
            light[t, k] = _AMBIENT * sky + _SUNLIGHT * facing * lit


@kernel
def _inward(corners: NDArray[np.float64], t: int, corner: int, axis: int) -> float:
    """A coordinate of a place near one corner of a triangle, a little towards its middle."""
    middle = (corners[t, 0, axis] + corners[t, 1, axis] + corners[t, 2, axis]) * (0.12 / 3.0)
    return middle + corners[t, corner, axis] * 0.88
