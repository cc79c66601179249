"""The player's figure: a body of boxes, posed anew for every frame from what the player is doing."""

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from envs.jit import Real, Whole, kernel
from envs.simd import LANES
from envs.standin.characters import (
    BULK,
    COAT,
    DARK,
    HAT_HEIGHT,
    HAT_WIDTH,
    HEAD,
    HEIGHT,
    PACK,
    SKIN,
    STEEL,
    TRIM,
    TROUSERS,
    WEAPON_LENGTH,
    WEAPON_WIDTH,
    Wardrobe,
)
from envs.standin.physics import APPEAR, CAST, DODGE, EMOTE, GUARD, HEAVY, LAND, RUN_SPEED, STRIKE, THROW, Body
from envs.standin.raster import PLANES, Triangles, aligned

Point: TypeAlias = tuple[Real, Real, Real]  # across, ahead and up, or in the world
Stance: TypeAlias = tuple[Real, Real, Real, Real, Real, Real, Real, Real]  # see `_frame`


_BOXES: Final = 15
_TRIANGLES: Final = -(-_BOXES * 12 // LANES) * LANES


def make_figure() -> Triangles:
    """Room for one figure. Faces are textured alike, so that is done here and for good."""
    stride = _TRIANGLES | LANES
    planes = aligned(PLANES * stride, np.float32)
    uv = planes.reshape(PLANES, stride)[9:15]
    uv[:, 0::2] = np.array([0.0, 12.0, 12.0, 0.0, 0.0, 12.0])[:, None]  # u of three corners, then v
    uv[:, 1::2] = np.array([0.0, 12.0, 0.0, 0.0, 12.0, 12.0])[:, None]  # the other half of the face
    return Triangles(planes, aligned(stride, np.int32), np.zeros(1, np.int64), np.zeros((0, 7), np.float32))


@kernel
def pose(body: Body, character: int, skin: int, wardrobe: Wardrobe, sun: NDArray[np.float64], out: Triangles) -> int:
    """Write the figure's triangles; returns how many, a multiple of 16."""
    build, colours = wardrobe.build[character], wardrobe.colours[character, skin]
    size = build[HEIGHT]
    busy, since = int(body.busy), body.busy_time
    speed = min(1.0, math.hypot(body.vx, body.vy) / RUN_SPEED)
    airborne = body.grounded == 0.0

    # Angles in the plane of motion: 0 hangs down, positive swings ahead.
    swing = math.sin(body.stride) * (0.25 + 0.75 * speed) * min(1.0, 4.0 * speed)
    left_leg, right_leg = swing, -swing
    left_knee = -max(0.0, -math.cos(body.stride)) * 1.3 * speed - 0.08
    right_knee = -max(0.0, math.cos(body.stride)) * 1.3 * speed - 0.08
    left_arm, right_arm, elbow = -0.9 * swing, 0.9 * swing, 0.25 + 0.8 * speed
    lean, spin, crouch, grow = 0.22 * speed, 0.0, 0.0, 1.0
    if airborne:
        left_leg, right_leg, left_knee, right_knee = 0.8, -0.15, -1.1, -0.5
        left_arm, right_arm = 1.1, -0.7
        if body.flight >= 0.0:
            lean, left_leg, right_leg, left_arm, right_arm = 0.75, -0.25, 0.1, 2.6, 2.6
    if busy == DODGE:
        lean, crouch = min(1.0, since / 0.35) * 2.0 * math.pi, 0.3 if since < 0.4 else 0.12
        left_leg = right_leg = 1.3 if since < 0.35 else 0.4
        left_knee = right_knee = -1.7 if since < 0.35 else -0.8
    elif busy == STRIKE:
        right_arm, elbow, lean = 2.9 - 9.0 * min(0.3, since), 0.1, 0.25
    elif busy == HEAVY:
        spin, right_arm, left_arm, elbow = since * (2.0 * math.pi / 0.7), 1.5, 1.5, 0.0
    elif busy == THROW:
        right_arm, elbow, lean = 3.4 - 7.0 * min(0.35, since), 0.4, 0.15
    elif busy == GUARD:
        left_arm, right_arm, elbow, crouch = 1.0, 1.0, 1.6, 0.08
    elif busy == CAST:
        left_arm = right_arm = 2.9 + 0.2 * math.sin(20.0 * since)
        elbow = 0.0
    elif busy == EMOTE:
        right_arm, elbow = 2.7 + 0.45 * math.sin(14.0 * since), 0.2
    elif busy == LAND:
        crouch = 0.3 * max(0.0, 1.0 - since / 0.3)
        left_leg, right_leg, left_knee, right_knee = 0.9, 0.7, -1.5, -1.3
    elif busy == APPEAR:
        grow, spin = min(1.0, 0.15 + since / 0.7), (1.0 - min(1.0, since / 0.7)) * 6.0
        left_arm = right_arm = 2.4

    s = size * grow
    bulk = build[BULK]
    hip = (0.86 - crouch) * s
    frame = _frame(body, spin, lean, hip)
    n = 0
    # Boxes: length, half width, half depth.
    thigh, shin = (0.44 * s, 0.085 * s * bulk, 0.1 * s * bulk), (0.42 * s, 0.075 * s * bulk, 0.09 * s * bulk)
    upper_arm, forearm = (0.3 * s, 0.07 * s * bulk, 0.08 * s * bulk), (0.3 * s, 0.06 * s, 0.065 * s)
    for side in range(2):
        sign = 1.0 if side else -1.0
        leg, knee = (right_leg, right_knee) if side else (left_leg, left_knee)
        arm = right_arm if side else left_arm
        across = sign * 0.13 * s * bulk
        n = _limb(out, n, frame, (across, 0.0, hip), leg, thigh, colours[TROUSERS], sun)
        kf, ku = 0.44 * s * math.sin(leg), hip - 0.44 * s * math.cos(leg)
        n = _limb(out, n, frame, (across, kf, ku), leg + knee, shin, colours[DARK], sun)
        shoulder, reach = sign * 0.29 * s * bulk, hip + 0.52 * s
        n = _limb(out, n, frame, (shoulder, 0.0, reach), arm, upper_arm, colours[COAT], sun)
        ef, eu = 0.3 * s * math.sin(arm), reach - 0.3 * s * math.cos(arm)
        n = _limb(out, n, frame, (shoulder, ef, eu), arm + elbow, forearm, colours[SKIN], sun)
        if side and build[WEAPON_LENGTH] > 0.0:
            hf, hu = ef + 0.28 * s * math.sin(arm + elbow), eu - 0.28 * s * math.cos(arm + elbow)
            weapon = (build[WEAPON_LENGTH] * s, build[WEAPON_WIDTH], build[WEAPON_WIDTH])
            n = _limb(out, n, frame, (shoulder, hf, hu), arm + elbow + 1.35, weapon, colours[STEEL], sun)
    chest, belt = (0.58 * s, 0.22 * s * bulk, 0.13 * s * bulk), (0.16 * s, 0.21 * s * bulk, 0.135 * s * bulk)
    n = _limb(out, n, frame, (0.0, 0.0, hip + 0.02 * s), math.pi, chest, colours[COAT], sun)
    n = _limb(out, n, frame, (0.0, 0.0, hip - 0.08 * s), math.pi, belt, colours[TRIM], sun)
    top = hip + 0.62 * s
    half = 0.13 * s * build[HEAD]
    hair = (1.05 * half, 1.08 * half, 1.05 * half)
    n = _limb(out, n, frame, (0.0, 0.02, top), math.pi, (2.0 * half, half, half), colours[SKIN], sun)
    n = _limb(out, n, frame, (0.0, -0.03 * s, top + 1.1 * half), math.pi, hair, colours[DARK], sun)
    if build[HAT_HEIGHT] > 0.0:
        hat = (build[HAT_HEIGHT], build[HAT_WIDTH], build[HAT_WIDTH])
        n = _limb(out, n, frame, (0.0, 0.0, top + 1.9 * half), math.pi, hat, colours[TRIM], sun)
    if build[PACK] > 0.0:
        joint = (0.0, -(0.13 * s * bulk + build[PACK]), hip + 0.1 * s)
        n = _limb(out, n, frame, joint, math.pi, (0.42 * s, 0.17 * s, build[PACK]), colours[TRIM], sun)
    while n % LANES:  # nothing: a triangle without a size
        for row in range(9):
            out.planes[row * out.material.size + n] = 0.0
        n += 1
    return n


@kernel
def _frame(body: Body, spin: Real, lean: Real, pivot: Real) -> Stance:
    """Where the body stands, how it is turned, and how it leans about its hip."""
    facing = body.facing + spin
    return body.x, body.y, body.z, math.sin(facing), math.cos(facing), math.sin(lean), math.cos(lean), pivot


@kernel
def _world(frame: Stance, across: Real, ahead: Real, up: Real) -> Point:
    """A point of the body in the world."""
    x, y, z, sin, cos, lean_sin, lean_cos, pivot = frame
    over = up - pivot
    f, u = ahead * lean_cos + over * lean_sin, over * lean_cos - ahead * lean_sin + pivot
    return x + cos * across + sin * f, y - sin * across + cos * f, z + u


@kernel
def _limb(
    out: Triangles,
    n: int,
    frame: Stance,
    joint: Point,
    angle: float,
    size: Point,
    material: Whole,
    sun: NDArray[np.float64],
) -> int:
    """A box of (length, half width, half depth) that hangs from a joint at an angle; returns the next free place."""
    length, w, d = size
    sin, cos = math.sin(angle), math.cos(angle)
    across, ahead, up = joint
    far_ahead, far_up = ahead + length * sin, up - length * cos
    df, du = d * cos, d * sin
    # The near end's corners, then the far end's: left behind, right behind, left ahead, right ahead.
    n0, n1 = _world(frame, across - w, ahead - df, up - du), _world(frame, across + w, ahead - df, up - du)
    n2, n3 = _world(frame, across - w, ahead + df, up + du), _world(frame, across + w, ahead + df, up + du)
    f0, f1 = (
        _world(frame, across - w, far_ahead - df, far_up - du),
        _world(frame, across + w, far_ahead - df, far_up - du),
    )
    f2, f3 = (
        _world(frame, across - w, far_ahead + df, far_up + du),
        _world(frame, across + w, far_ahead + df, far_up + du),
    )
    for k in range(12):
        out.material[n + k] = material
    _face(out, n, n0, n1, n3, n2, sun)
    _face(out, n + 2, f0, f2, f3, f1, sun)
    _face(out, n + 4, n0, f0, f1, n1, sun)
    _face(out, n + 6, n2, n3, f3, f2, sun)
    _face(out, n + 8, n0, n2, f2, f0, sun)
    _face(out, n + 10, n1, f1, f3, n3, sun)
    return n + 12


@kernel
def _face(out: Triangles, n: int, a: Point, b: Point, c: Point, d: Point, sun: NDArray[np.float64]) -> None:
    """A four-sided face, counter-clockwise from outside, as triangles n and n + 1."""
    light = _face_light(a, b, c, sun)
    _triangle(out.planes, out.material.size, n, a, b, c, light)
    _triangle(out.planes, out.material.size, n + 1, a, c, d, light)


@kernel
def _face_light(a: Point, b: Point, c: Point, sun: NDArray[np.float64]) -> Real:
    ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    size = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-12
    facing = (nx * sun[0] + ny * sun[1] + nz * sun[2]) / size
    return 0.62 + 0.12 * nz / size + 0.5 * max(0.0, facing)


@kernel
def _triangle(planes: NDArray[np.float32], stride: int, n: int, a: Point, b: Point, c: Point, light: Real) -> None:
    for k in range(3):
        planes[k * stride + n] = a[k]
        planes[(3 + k) * stride + n] = b[k]
        planes[(6 + k) * stride + n] = c[k]
        planes[(15 + k) * stride + n] = light
