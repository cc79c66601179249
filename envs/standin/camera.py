"""The third-person camera: behind and above the figure, pulled in where something stands between."""

import math
from typing import Final

from envs.jit import kernel
from envs.standin.island import VOID, Ground, height_at, is_open
from envs.standin.physics import Body
from envs.standin.raster import Camera

BOOM: Final = 4.2  # metres from the figure's head to the camera, where there is room
LET_OUT: Final = 0.35  # metres a step of 0.1 s, of the boom
_HEAD: Final = 1.55
_CLEARANCE: Final = 0.22
_NEAREST: Final = 0.3  # metres; less than a body, which keeps out of walls, is wide
_STRIDE: Final = 0.25
_FOCAL: Final = 0.5 / math.tan(math.radians(78.0) / 2)


@kernel
def adjust_boom(body: Body, ground: Ground, reach: float) -> None:
    """Pull the camera in at once where something is in the way, and let it out by up to `reach` metres."""
    forward = _direction(body)
    room = _free_length(ground, (body.x, body.y, body.z + _HEAD), forward)
    body.boom = min(room, body.boom + reach)


@kernel
def _direction(body: Body) -> tuple[float, float, float]:
    """Where the camera looks."""
    flat = math.cos(body.pitch)
    return math.sin(body.yaw) * flat, math.cos(body.yaw) * flat, -math.sin(body.pitch)


@kernel
def follow(body: Body, ground: Ground, camera: Camera) -> None:
    """Place the camera for a body."""
    sin_yaw, cos_yaw = math.sin(body.yaw), math.cos(body.yaw)
    sin_pitch, cos_pitch = math.sin(body.pitch), math.cos(body.pitch)
    forward = _direction(body)
    pivot = (body.x, body.y, body.z + _HEAD)
    camera.x = pivot[0] - forward[0] * body.boom
    camera.y = pivot[1] - forward[1] * body.boom
    camera.z = pivot[2] - forward[2] * body.boom
    camera.right_x, camera.right_y, camera.right_z = cos_yaw, -sin_yaw, 0.0
    camera.down_x, camera.down_y, camera.down_z = -sin_yaw * sin_pitch, -cos_yaw * sin_pitch, -cos_pitch
    camera.forward_x, camera.forward_y, camera.forward_z = forward
    camera.focal = _FOCAL

    floor = height_at(ground, body.x, body.y)
    height = body.z - floor
    camera.shadow_x, camera.shadow_y, camera.shadow_z = body.x, body.y, floor
    camera.shadow_radius = 0.55 / (1.0 + 0.4 * min(height, 5.0)) if floor > VOID else 0.01


@kernel
def _free_length(ground: Ground, pivot: tuple[float, float, float], forward: tuple[float, float, float]) -> float:
    """How far the camera can be pulled back before it would enter something."""
    length = _NEAREST
    while length < BOOM and not _is_blocked(ground, pivot, forward, length + _STRIDE, 0.0):
        length += _STRIDE
    while length > _NEAREST and (
        _is_blocked(ground, pivot, forward, length, _CLEARANCE)
        or _is_blocked(ground, pivot, forward, length, -_CLEARANCE)
    ):
        length -= _STRIDE
    return min(length, BOOM)


@kernel
def _is_blocked(
    ground: Ground, pivot: tuple[float, float, float], forward: tuple[float, float, float], length: float, side: float
) -> bool:
    """Whether a camera this far back, and this far to the side, would be in something."""
    x = pivot[0] - forward[0] * length + forward[1] * side
    y = pivot[1] - forward[1] * length - forward[0] * side
    limit = pivot[2] - forward[2] * length - _CLEARANCE
    return not is_open(ground, x, y, limit) and height_at(ground, x, y) > limit
