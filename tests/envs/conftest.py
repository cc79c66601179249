"""What the tests of the worlds share: a player who can be put anywhere, and one who knows the way."""

import heapq
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from envs.gamepad import Gamepad, encode
from envs.standin.island import NEIGHBOURS, SPAWNS, WAYPOINTS, Ground, height_at
from envs.standin.physics import BODY
from envs.standin.scene import World, build_world
from envs.standin.simulation import Simulation, advance_body

os.environ["SDL_VIDEODRIVER"] = "dummy"  # before anything opens a window
os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"

REPOSITORY = Path(__file__).parents[2]


class Player:
    """One body of the stand-in: put anywhere, moved by what a gamepad says, without drawing."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.ground = simulation.stage.ground

    @property
    def body(self) -> Any:
        """The record of physics.BODY."""
        return self.simulation.bodies[0]

    def spawn(self, index: int) -> "Player":
        """Start at a spawn, as the first character."""
        self.simulation.put(0, index, 0, 0, False)
        return self

    def put(self, x: float, y: float, *, facing: float = 0.0, up: float = 0.0) -> "Player":
        """Stand at (x, y), or `up` metres above it; facing in degrees, clockwise from north."""
        self.spawn(0)
        body = self.body
        body["x"], body["y"], body["z"] = x, y, height_at(self.ground, x, y) + up
        body["yaw"] = body["facing"] = math.radians(facing)
        body["grounded"] = float(up == 0.0)
        return self

    def hold(self, steps: int, *pressed: str, **sticks: float) -> NDArray[np.void]:
        """Hold a gamepad state for steps of a tenth of a second; returns the states after each, (steps,) BODY."""
        return self.play(np.tile(encode(Gamepad(frozenset(pressed), **sticks)), (steps, 1)))

    def play(self, actions: NDArray[np.uint8]) -> NDArray[np.void]:
        """The states after each of some actions, (steps, 16)."""
        before = np.zeros(len(actions), BODY)
        advance_body(self.simulation.stage, self.simulation.bodies, actions, before, 0)
        return np.concatenate([before[1:], self.simulation.bodies])

    @property
    def position(self) -> NDArray[np.float64]:
        """Where the player stands, (3,)."""
        return np.array([self.body[axis] for axis in "xyz"])


def _route(start: tuple[float, float], pad: str) -> list[tuple[float, float]]:
    """The shortest way over the island's waypoints (Dijkstra, 1959), from the terrace to a pad."""
    ends: list[tuple[float, str, tuple[str, ...]]] = []
    for name in ("terrace", "ramp west", "ramp east"):
        heapq.heappush(ends, (math.dist(start, WAYPOINTS[name]), name, (name,)))
    done: set[str] = set()
    while ends:
        length, name, way = heapq.heappop(ends)
        if name == pad:
            return [WAYPOINTS[n] for n in way]
        if name not in done:
            done.add(name)
            for n in NEIGHBOURS[name]:
                heapq.heappush(ends, (length + math.dist(WAYPOINTS[name], WAYPOINTS[n]), n, (*way, n)))
    raise ValueError(f"no way to {pad}")


class Guide:
    """Knows the way to a pad, and looks at the position instead of the pixels; never turns the camera."""

    def __init__(self, pad: str, spawn: int) -> None:
        start = SPAWNS[spawn]
        self._way, self._yaw = _route((start.x, start.y), pad), start.yaw

    def action(self, position: NDArray[np.float64]) -> NDArray[np.uint8]:
        """What to hold at a position, (16,) uint8."""
        while len(self._way) > 1 and math.dist(self._way[0], position[:2]) < 0.7:
            self._way.pop(0)
        heading = math.atan2(self._way[0][0] - position[0], self._way[0][1] - position[1]) - self._yaw
        return encode(Gamepad(lx=math.sin(heading), ly=math.cos(heading)))


@pytest.fixture(scope="session")
def world() -> World:
    """The world of seed 0."""
    return build_world(0)


@pytest.fixture(scope="session")
def _simulation() -> Simulation:
    return Simulation(1, 0)


@pytest.fixture
def player(_simulation: Simulation) -> Player:
    """A player at the first spawn of the world of seed 0."""
    return Player(_simulation).spawn(0)


@pytest.fixture(scope="session")
def guide() -> Callable[[str, int], Guide]:
    """Make a guide to a pad from a spawn."""
    return Guide


@pytest.fixture(scope="session")
def heights() -> Callable[[Ground, NDArray[np.float64]], NDArray[np.float64]]:
    """The ground's height at each of some points, (N, 2 or more)."""
    return lambda ground, points: np.array([height_at(ground, float(p[0]), float(p[1])) for p in points])


@pytest.fixture(scope="session")
def random_actions() -> Callable[..., NDArray[np.uint8]]:
    """Make (*shape, 16) actions, uniform over the action space, from a seed."""

    def make(seed: int, *shape: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        buttons = rng.integers(0, 2, (*shape, 12), dtype=np.uint8)
        return np.concatenate([buttons, rng.integers(0, 11, (*shape, 4), dtype=np.uint8)], axis=-1)

    return make


@pytest.fixture(scope="session")
def restless_actions() -> Callable[[int, int], NDArray[np.uint8]]:
    """Make (steps, 16) actions from a seed that get around: sticks held for a while, mostly ahead, buttons tapped."""

    def make(seed: int, steps: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        actions = np.empty((steps, 16), np.uint8)
        k = 0
        while k < steps:
            sticks = rng.integers(0, 11, 4)
            if rng.random() < 0.5:
                sticks[:2] = 5, 10
            if rng.random() < 0.5:
                sticks[2] = 5
            held = int(rng.integers(1, 25))
            actions[k : k + held, 12:] = sticks
            k += held
        actions[:, :12] = rng.random((steps, 12)) < 0.08
        return actions

    return make


@pytest.fixture(scope="session")
def run_python() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run a piece of Python in a process of its own, with additions to its environment."""

    def run(code: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        surroundings = {**os.environ, "PYTHONPATH": str(REPOSITORY), **variables}
        return subprocess.run(
            [sys.executable, "-c", code], env=surroundings, capture_output=True, text=True, timeout=280, check=False
        )

    return run
