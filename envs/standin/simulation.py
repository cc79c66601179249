"""A number of players, each alone in a copy of the same world: moved, posed and drawn by one kernel.

The single environment is a simulation of one and the batched one a simulation of many, so the same seeds and actions
give the same frames in either. Threads take the players in small parts, inside one call each: to hand the world to a
kernel takes as long as half a frame. No result depends on who took which.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.backend import SIDE
from envs.jit import entry, kernel
from envs.simd import LANES, take
from envs.standin.camera import LET_OUT, adjust_boom, follow
from envs.standin.characters import PACE, WARDROBE, Wardrobe
from envs.standin.figure import make_figure, pose
from envs.standin.island import Ground
from envs.standin.physics import BODY, PLACES, SUBSTEPS, Body, Places, advance, place, tick
from envs.standin.raster import CAMERA, Look, Scratch, Triangles, draw, make_scratch
from envs.standin.scene import World, build_world

_PART: Final = 4  # players, at most, that one of several threads takes at a time


class Stage(NamedTuple):
    """What all players share and nobody changes."""

    ground: Ground
    places: Places
    wardrobe: Wardrobe
    triangles: Triangles
    look: Look
    sun: NDArray[np.float64]


class Brush(NamedTuple):
    """What one thread draws with."""

    zoom: float  # of the focal length: frames wider than asked for keep the asked-for part's scale
    figure: Triangles
    scratch: Scratch
    camera: NDArray[np.void]  # (1,) CAMERA


def make_stage(world: World) -> Stage:
    """A world as kernels take it."""
    return Stage(world.ground, PLACES, WARDROBE, world.triangles, world.look, np.array(world.island.sun))


def make_brush(stage: Stage, width: int, height: int) -> Brush:
    """Memory to draw frames of a size; they come out as wide as `padded(width)`, with the view in the middle."""
    figure = make_figure()
    triangles = stage.triangles.material.size + figure.material.size
    scratch = make_scratch(triangles, padded(width), height)
    return Brush(width / padded(width), figure, scratch, np.zeros(1, CAMERA))


def padded(width: int) -> int:
    """The next width that is made of whole vectors."""
    return -(-width // LANES) * LANES


class Simulation:
    """`count` players in the world of a dressing seed.

    `bodies` (count,) BODY, `characters` and `skins` (count,) int64 may be read at any time; see `put` to set them.
    """

    def __init__(self, count: int, dressing: int, threads: int = 1) -> None:
        self.stage = make_stage(build_world(dressing))
        self.bodies = np.zeros(count, BODY)
        self.characters = np.zeros(count, np.int64)
        self.skins = np.zeros(count, np.int64)
        self._part = count if threads == 1 else max(1, min(_PART, count // (2 * threads)))
        self._brushes = [make_brush(self.stage, SIDE, SIDE) for _ in range(min(threads, -(-count // self._part)))]
        self._pool = ThreadPoolExecutor(len(self._brushes) - 1) if len(self._brushes) > 1 else None

    def put(self, index: int, spawn: int, character: int, skin: int, appear: bool) -> None:
        """Start player `index` anew at a spawn."""
        self.characters[index], self.skins[index] = character, skin
        pace = float(WARDROBE.build[character, PACE])
        self.bodies[index]["falls"] = 0.0
        put_body(self.stage, self.bodies[index : index + 1], spawn, pace, appear)

    def advance(self, actions: NDArray[np.uint8], moving: NDArray[np.bool_], frames: NDArray[np.uint8]) -> None:
        """Move the players that are `moving` by a tenth of a second and draw all.

        Args: actions: (count, 16) uint8, checked. frames: (count, 128, 128, 3) uint8, written.
        """
        cast, turn = (self.bodies, self.characters, self.skins), new_turn()

        def run(brush: Brush) -> None:
            advance_and_draw(self.stage, brush, cast, actions, moving, turn, self._part, frames)

        jobs: list[Future[None]] = []
        if self._pool is not None:
            jobs = [self._pool.submit(run, brush) for brush in self._brushes[1:]]
        run(self._brushes[0])
        for job in jobs:
            job.result()

    def picture(self, index: int, width: int, height: int) -> NDArray[np.uint8]:
        """A frame of any size of one player's view, (height, width, 3) uint8."""
        character, skin = int(self.characters[index]), int(self.skins[index])
        return picture_of(self.stage, self.bodies[index : index + 1], character, skin, width, height)

    def close(self) -> None:
        """Stop the threads."""
        if self._pool is not None:
            self._pool.shutdown()


def new_turn() -> NDArray[np.int64]:
    """How many players `advance_and_draw` has taken: none yet."""
    return np.zeros(1, np.int64)


class Easel:
    """Draws what one body sees, again and again at one size, without new memory.

    `picture`, (height, width, 3) uint8, is the last one drawn; it lies in the middle of `canvas`, which is as high, as
    wide as `padded` says, and contiguous.

    Args: side: of the square in the middle that shows what a square picture shows; default: the width, so that a
      picture of any shape shows the same to the left and right.
    """

    def __init__(self, stage: Stage, width: int, height: int, side: int | None = None) -> None:
        side = side or width
        self._brush = make_brush(stage, width, height)._replace(zoom=side / padded(width))
        self._stage = _seen_as(stage, padded(side) / padded(width))
        self._frames = np.empty((1, height, padded(width), 3), np.uint8)
        self._wearing = np.zeros(1, np.int64), np.zeros(1, np.int64)
        self.canvas: NDArray[np.uint8] = self._frames[0]
        left = (padded(width) - width) // 2
        self.picture: NDArray[np.uint8] = self.canvas[:, left : left + width]

    def draw(self, body: NDArray[np.void], character: int, skin: int) -> NDArray[np.uint8]:
        """What the one body, (1,) BODY, sees: `picture`, which the next call overwrites."""
        self._wearing[0][0], self._wearing[1][0] = character, skin
        cast = (body, *self._wearing)
        advance_and_draw(self._stage, self._brush, cast, _NO_ACTION, _STILL, new_turn(), 1, self._frames)
        return self.picture


def _seen_as(stage: Stage, share: float) -> Stage:
    """A stage that leaves small things out from as far away as a picture of this share of the width does."""
    if share == 1.0:
        return stage
    boxes = stage.triangles.group_box.copy()
    boxes[:, 6] *= share
    return stage._replace(triangles=stage.triangles._replace(group_box=boxes))


def picture_of(
    stage: Stage, body: NDArray[np.void], character: int, skin: int, width: int, height: int
) -> NDArray[np.uint8]:
    """A frame of any size of what the one body, (1,) BODY, sees: (height, width, 3) uint8."""
    return Easel(stage, width, height).draw(body, character, skin)


_NO_ACTION: Final = np.zeros((1, 16), np.uint8)
_STILL: Final = np.zeros(1, np.bool_)


@kernel
def _step(stage: Stage, body: Body, action: NDArray[np.uint8]) -> None:
    """A tenth of a second of one player, camera included."""
    advance(body, action, 0, SUBSTEPS, stage.ground, stage.places)
    adjust_boom(body, stage.ground, LET_OUT)


@entry
def advance_and_draw(
    stage: Stage,
    brush: Brush,
    cast: tuple[NDArray[np.void], NDArray[np.int64], NDArray[np.int64]],
    actions: NDArray[np.uint8],
    moving: NDArray[np.bool_],
    turn: NDArray[np.int64],
    part: int,
    frames: NDArray[np.uint8],
) -> None:
    """Move and draw a cast of (bodies, characters, skins), `part` players at a time.

    Threads that call it with the same `turn`, the number of players that are taken, share them out.
    """
    bodies, characters, skins = cast
    height, width = frames.shape[1], frames.shape[2]
    image = frames.reshape(-1)
    camera = brush.camera[0]
    low = take(turn, part)
    while low < frames.shape[0]:
        for k in range(low, min(low + part, frames.shape[0])):
            body = bodies[k]
            if moving[k]:
                _step(stage, body, actions[k])
            follow(body, stage.ground, camera)
            camera.focal *= np.float32(brush.zoom)
            size = pose(body, characters[k], skins[k], stage.wardrobe, stage.sun, brush.figure)
            start = k * width * height * 3
            draw(stage.triangles, brush.figure, size, camera, stage.look, brush.scratch, width, height, image, start)
        low = take(turn, part)


@entry
def put_body(stage: Stage, bodies: NDArray[np.void], spawn: int, pace: float, appear: bool) -> None:
    """Place the one body at a spawn."""
    place(bodies[0], spawn, pace, appear, stage.ground, stage.places)
    adjust_boom(bodies[0], stage.ground, LET_OUT)


@entry
def advance_body(
    stage: Stage, bodies: NDArray[np.void], actions: NDArray[np.uint8], trail: NDArray[np.void], late: int
) -> None:
    """Move the one body through actions, (steps, 16), undrawn.

    Args: trail: keeps its states before the first few actions. late: ticks, less than a step, by which actions come
      after what is kept of the moment before them; the first state is the one that is there.
    """
    body, seen = bodies[0], SUBSTEPS - late
    if trail.size > 0:
        trail[0] = body
    for k in range(actions.shape[0]):
        advance(body, actions[k], 0, seen, stage.ground, stage.places)
        if k + 1 < trail.size:
            trail[k + 1] = body
            adjust_boom(trail[k + 1], stage.ground, LET_OUT * (seen / SUBSTEPS))
        advance(body, actions[k], seen, SUBSTEPS, stage.ground, stage.places)
        adjust_boom(body, stage.ground, LET_OUT)


@entry
def advance_ticks(
    stage: Stage,
    bodies: NDArray[np.void],
    buttons: int,
    left: tuple[float, float],
    right: tuple[float, float],
    ticks: int,
) -> None:
    """Move the one body by ticks of 1/60 s under hands that are held, undrawn; see `physics.tick`."""
    for _ in range(ticks):
        tick(bodies[0], buttons, left, right, True, stage.ground, stage.places)
        adjust_boom(bodies[0], stage.ground, LET_OUT / SUBSTEPS)


NO_TRAIL: Final = np.zeros(0, BODY)
