"""How a player moves: 60 ticks a second, under an action that is held for six, or under hands that are read for each.

Moves go with the camera, as in most third-person games: the left stick is read in the direction that the camera looks,
the right stick turns the camera. What a body does follows from its record, the ground and the action alone, so a seed
and a list of actions give the same episode anywhere.
"""

import math
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from envs.gamepad import BUTTONS, CENTRE
from envs.jit import kernel
from envs.standin.island import BODY_RADIUS, PADS, SPAWNS, VOID, Ground, height_at, is_open

SUBSTEPS: Final = 6  # a step of 0.1 s
TICK: Final = 1.0 / 60.0

RUN_SPEED: Final = 6.8  # metres a second, times the character's pace
_PUSH_OUT: Final = 0.04  # metres a tick, out of what a body has come to touch
STEP_UP: Final = 0.42  # the highest ledge that one walks up
GRAVITY: Final = 18.0
JUMP_SPEED: Final = 6.8  # 1.3 m up
DODGE_SPEED: Final = 10.0
SINK: Final = -14.0  # metres; below it one has fallen off the island
LAUNCH_TIME: Final = 2.4  # seconds in the air from a pad to the main island

# What a body is busy with. The order matters to `figure`, which poses them.
IDLE: Final = 0
DODGE: Final = 1
STRIKE: Final = 2
HEAVY: Final = 3
THROW: Final = 4
GUARD: Final = 5
CAST: Final = 6
EMOTE: Final = 7
LAND: Final = 8
APPEAR: Final = 9

_DURATION: Final = np.array([0.0, 0.6, 0.4, 0.7, 0.45, 0.25, 0.6, 0.9, 0.3, 0.8])  # seconds
_PACE: Final = np.array([1.0, 1.0, 0.35, 0.1, 0.5, 0.4, 0.3, 0.0, 0.25, 0.0])  # share of the running speed meanwhile

_A, _B, _X, _Y, _LB, _RB, _LT, _RT = (1 << BUTTONS.index(n) for n in ("A", "B", "X", "Y", "LB", "RB", "LT", "RT"))
_PAD: Final = sum(1 << BUTTONS.index(n) for n in ("UP", "DOWN", "LEFT", "RIGHT"))
_FIRST_AXIS: Final = len(BUTTONS)


class Body(Protocol):
    """A numba record: everything that changes about a player. Metres, seconds, radians; yaw 0 is north."""

    x: float
    y: float
    z: float
    vx: float
    vy: float
    vz: float
    facing: float
    yaw: float  # of the camera
    pitch: float  # of the camera, positive looks down
    boom: float  # metres from the camera to the figure
    stride: float  # phase of the walking legs
    busy: float  # one of IDLE ...
    busy_time: float  # since it began
    grounded: float  # 1 or 0
    buttons: float  # of the previous step, a bit each
    pace: float  # of the character
    spawn: float  # index into SPAWNS
    jumppad: float  # index into PADS of the pad in use, or -1
    flight: float  # seconds since a pad launched the player, or -1
    falls: float  # times fallen off the island


BODY: Final = np.dtype([(name, np.float64) for name in Body.__annotations__])


class Places(NamedTuple):
    """Spawns and pads as arrays."""

    spawns: NDArray[np.float64]  # (4, 3): x, y, yaw
    pads: NDArray[np.float64]  # (3, 10): x, y, ground, sine and cosine of yaw, half length, half width, landing x, y, z


PLACES: Final = Places(
    np.array([(s.x, s.y, s.yaw) for s in SPAWNS]),
    np.array(
        [(p.x, p.y, p.ground, math.sin(p.yaw), math.cos(p.yaw), p.length / 2, p.width / 2, *p.landing) for p in PADS]
    ),
)


@kernel
def place(body: Body, spawn: int, pace: float, appear: bool, ground: Ground, places: Places) -> None:
    """Put a body at a spawn, at rest."""
    body.x, body.y, body.yaw = places.spawns[spawn, 0], places.spawns[spawn, 1], places.spawns[spawn, 2]
    body.z = height_at(ground, body.x, body.y)
    body.vx = body.vy = body.vz = 0.0
    body.facing = body.yaw
    body.pitch = 0.16
    body.boom = 4.2
    body.stride = 0.0
    body.busy = APPEAR if appear else IDLE
    body.busy_time = 0.0
    body.grounded = 1.0
    body.buttons = 0.0
    body.pace = pace
    body.spawn = spawn
    body.jumppad = -1.0
    body.flight = -1.0


@kernel
def advance(body: Body, action: NDArray[np.uint8], first: int, last: int, ground: Ground, places: Places) -> None:
    """Ticks [first, last) of the SUBSTEPS that an action is held; `body.jumppad` then says whether a pad is reached."""
    buttons = 0
    for k in range(_FIRST_AXIS):
        buttons |= int(action[k]) << k
    left = (action[_FIRST_AXIS] - CENTRE) / 5.0, (action[_FIRST_AXIS + 1] - CENTRE) / 5.0
    right = (action[_FIRST_AXIS + 2] - CENTRE) / 5.0, (action[_FIRST_AXIS + 3] - CENTRE) / 5.0
    for k in range(first, last):
        tick(body, buttons, left, right, k == 0, ground, places)


@kernel
def tick(
    body: Body,
    buttons: int,
    left: tuple[float, float],
    right: tuple[float, float],
    begins: bool,
    ground: Ground,
    places: Places,
) -> None:
    """A sixtieth of a second of what the hands hold: a bit for each of BUTTONS, and two sticks (x, y) in [-1, 1].

    Moves begin only where `begins` says so: an action begins its own at once or, in the tenth that it is held, never.
    """
    if begins:
        _start_moves(body, buttons & ~int(body.buttons), buttons)
        body.buttons = buttons
    _turn_camera(body, right[0], right[1])
    body.busy_time += TICK
    if body.busy != IDLE and body.busy_time > _DURATION[int(body.busy)]:
        body.busy = IDLE
    if body.flight >= 0.0:
        _fly(body, ground, places)
    else:
        _walk(body, left[0], left[1], ground)
        _touch_pads(body, places)
    if body.z < SINK:
        falls = body.falls + 1.0
        place(body, int(body.spawn), body.pace, True, ground, places)
        body.falls, body.buttons = falls, buttons


@kernel
def _start_moves(body: Body, pressed: int, held: int) -> None:
    """Begin what the buttons ask for, where the body is free to."""
    if body.flight >= 0.0:
        return
    if body.busy == IDLE or (body.busy == GUARD and pressed != 0):
        move = IDLE
        if pressed & _B and body.grounded:
            move = DODGE
        elif pressed & _X:
            move = STRIKE
        elif pressed & _Y and body.grounded:
            move = HEAVY
        elif pressed & _RT:
            move = THROW
        elif pressed & (_LB | _RB):
            move = CAST
        elif pressed & _PAD and body.grounded:
            move = EMOTE
        elif held & _LT:
            move = GUARD
        if move != IDLE:
            body.busy, body.busy_time = move, 0.0
    if pressed & _A and body.grounded and (body.busy in (IDLE, STRIKE, GUARD, LAND)):
        body.vz, body.grounded = JUMP_SPEED, 0.0


@kernel
def _turn_camera(body: Body, rx: float, ry: float) -> None:
    """200 degrees a second at full deflection, finer near the middle."""
    body.yaw += rx * math.sqrt(abs(rx)) * (math.radians(200.0) * TICK)
    body.yaw -= 2.0 * math.pi * math.floor((body.yaw + math.pi) / (2.0 * math.pi))
    pitch = body.pitch - ry * math.sqrt(abs(ry)) * (math.radians(110.0) * TICK)
    body.pitch = min(0.95, max(-0.5, pitch))


@kernel
def _walk(body: Body, lx: float, ly: float, ground: Ground) -> None:
    """Run, fall, jump, slide along walls."""
    push = min(1.0, math.hypot(lx, ly))
    heading = math.atan2(lx, ly) + body.yaw
    busy = int(body.busy)
    if busy == DODGE and body.busy_time < 0.35:
        if body.busy_time <= 1.5 * TICK and push > 0.1:
            body.facing = heading
        body.vx, body.vy = DODGE_SPEED * math.sin(body.facing), DODGE_SPEED * math.cos(body.facing)
    else:
        pace = 0.3 if busy == DODGE else _PACE[busy]
        speed = push * RUN_SPEED * body.pace * pace
        grip = (45.0 if body.grounded else 10.0) * TICK
        dx, dy = speed * math.sin(heading) - body.vx, speed * math.cos(heading) - body.vy
        change = math.hypot(dx, dy)
        share = 1.0 if change <= grip else grip / change
        body.vx += dx * share
        body.vy += dy * share
        if push > 0.1:
            _turn_to(body, heading)
    _move(body, ground)
    floor = height_at(ground, body.x, body.y)
    if body.grounded and floor > body.z - STEP_UP:
        body.z = floor
        body.stride += math.hypot(body.vx, body.vy) * TICK * 2.3
    else:
        body.grounded = 0.0
        body.vz -= GRAVITY * TICK
        body.z += body.vz * TICK
        if body.z <= floor and body.vz > 0.0:  # over the edge of a ledge on the way up
            body.z = floor
        elif body.z <= floor:
            if body.vz < -9.5 and body.busy == IDLE:  # from the terrace, but not from a jump
                body.busy, body.busy_time = LAND, 0.0
            body.z, body.vz, body.grounded = floor, 0.0, 1.0


@kernel
def _turn_to(body: Body, heading: float) -> None:
    """Turn the figure towards a direction, at 14 radians a second."""
    turn = heading - body.facing
    turn -= 2.0 * math.pi * math.floor((turn + math.pi) / (2.0 * math.pi))
    body.facing += min(14.0 * TICK, max(-14.0 * TICK, turn))


@kernel
def _move(body: Body, ground: Ground) -> None:
    """Move sideways by one tick; what is too high to step on stops the part of the motion that goes into it."""
    nx, ny = _obstruction(ground, body.x, body.y, body.z + STEP_UP)
    size = math.hypot(nx, ny)
    if size > 1e-6:  # stepped off a ledge, or came down beside a wall: out of it, or nothing would ever move again
        body.x += _PUSH_OUT * nx / size
        body.y += _PUSH_OUT * ny / size
    for _ in range(2):
        x, y = body.x + body.vx * TICK, body.y + body.vy * TICK
        nx, ny = _obstruction(ground, x, y, body.z + STEP_UP)
        if nx == 0.0 and ny == 0.0:
            body.x, body.y = x, y
            return
        size = math.hypot(nx, ny)
        if size < 1e-6:
            break
        into = (body.vx * nx + body.vy * ny) / size
        if into < 0.0:
            body.vx -= into * nx / size
            body.vy -= into * ny / size
    x, y = body.x + body.vx * TICK, body.y + body.vy * TICK
    nx, ny = _obstruction(ground, x, y, body.z + STEP_UP)
    if nx == 0.0 and ny == 0.0:
        body.x, body.y = x, y
    else:
        body.vx = body.vy = 0.0


_RING: Final = np.array([(math.sin(k * math.pi / 4), math.cos(k * math.pi / 4)) for k in range(8)]) * BODY_RADIUS


@kernel
def _obstruction(ground: Ground, x: float, y: float, limit: float) -> tuple[float, float]:
    """Where a body at (x, y) would touch ground above `limit`: the sum of the directions away from it."""
    if is_open(ground, x, y, limit):
        return 0.0, 0.0
    nx, ny = 0.0, 0.0
    for k in range(8):
        if height_at(ground, x + _RING[k, 0], y + _RING[k, 1]) > limit:
            nx -= _RING[k, 0]
            ny -= _RING[k, 1]
    if nx == 0.0 and ny == 0.0 and height_at(ground, x, y) > limit:
        nx = 1e-9  # inside something thinner than the ring
    return nx, ny


@kernel
def _touch_pads(body: Body, places: Places) -> None:
    """Launch a body that has come onto a pad."""
    for k in range(places.pads.shape[0]):
        dx, dy = body.x - places.pads[k, 0], body.y - places.pads[k, 1]
        sin, cos = places.pads[k, 3], places.pads[k, 4]
        along, across = dx * sin + dy * cos, dx * cos - dy * sin
        above = body.z - places.pads[k, 2]
        if abs(along) < places.pads[k, 5] and abs(across) < places.pads[k, 6] and -0.3 < above < 1.2:
            body.jumppad, body.flight, body.grounded, body.busy = k, 0.0, 0.0, IDLE
            body.vx = (places.pads[k, 7] - body.x) / LAUNCH_TIME
            body.vy = (places.pads[k, 8] - body.y) / LAUNCH_TIME
            body.vz = (places.pads[k, 9] - body.z) / LAUNCH_TIME + 0.5 * GRAVITY * LAUNCH_TIME
            body.facing = math.atan2(body.vx, body.vy)


@kernel
def _fly(body: Body, ground: Ground, places: Places) -> None:
    """The arc from a pad to the main island."""
    body.flight += TICK
    body.vz -= GRAVITY * TICK
    body.x += body.vx * TICK
    body.y += body.vy * TICK
    body.z += body.vz * TICK
    if body.flight >= LAUNCH_TIME - 0.05:
        floor = height_at(ground, body.x, body.y)
        if floor > VOID and body.z <= floor:
            body.z, body.vz, body.grounded, body.flight = floor, 0.0, 1.0, -1.0
            body.busy, body.busy_time, body.jumppad = LAND, 0.0, -1.0
