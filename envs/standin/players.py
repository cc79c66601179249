"""The stand-in's humans: a population of scripted players with different skill, intent and habits.

They know what a person would know from the screen: where they are, where they look, what the island is like. They act
through the gamepad alone, with a reaction time and unsteady hands; they turn the camera to where they want to go and
push the stick, choose among the ways, get stuck and free themselves. Not all of them want to get anywhere.
"""

import heapq
import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from envs.backend import JUMPPADS
from envs.gamepad import BUTTONS, CENTRE, NOOP
from envs.standin.island import DUMMIES, NEIGHBOURS, WAYPOINTS, Point

_MAIN_ISLAND: Final[tuple[Point, ...]] = (
    (0.0, 64.0), (-14.0, 66.0), (14.0, 66.0), (-22.0, 84.0), (22.0, 86.0), (0.0, 76.0), (-9.0, 96.0), (9.0, 98.0),
)  # fmt: skip


FULL_TURN: Final = math.radians(20.0)  # what the right stick turns the camera in a step


@dataclass(frozen=True, kw_only=True)
class Habits:
    """What makes one player differ from another. Rates are chances a second."""

    kind: str
    reaction: int = 2  # steps between seeing and acting
    wobble: float = 0.06  # radians, of the direction in the player's hands
    looseness: float = 1.2  # metres, how near a turning point is near enough
    detour: float = 0.25  # spread of the taste for ways; 0 always takes the shortest
    push: float = 1.0  # of the stick
    wait: float = 0.3  # seconds, on average, before setting off
    pause: float = 0.0  # rate of standing still and looking around
    jump: float = 0.1
    dodge: float = 0.05
    attack: float = 0.03
    travels: float = 1.0  # chance that a life is about reaching a pad
    tastes: tuple[float, float, float] = (0.28, 0.46, 0.26)  # for the left, middle and right pad


EXPERT: Final = Habits(
    kind="expert", reaction=1, wobble=0.02, looseness=1.0, detour=0.0, wait=0.0, jump=0.0, dodge=0.0, attack=0.0
)
"""Goes straight to where it is told."""

POPULATION: Final = (
    (0.36, Habits(kind="regular")),
    (0.24, Habits(kind="veteran", reaction=1, wobble=0.035, detour=0.15, wait=0.2, jump=0.25, dodge=0.2)),
    (0.18, Habits(kind="novice", reaction=3, wobble=0.09, looseness=1.5, detour=0.4, push=0.95, wait=0.5, pause=0.08,
                  jump=0.12, attack=0.06, travels=0.9)),
    (0.07, Habits(kind="hopper", reaction=2, wobble=0.08, jump=1.1, dodge=0.3, attack=0.15, travels=0.9)),
    (0.06, Habits(kind="wanderer", reaction=2, wobble=0.1, detour=0.9, pause=0.12, jump=0.2, travels=0.2)),
    (0.04, Habits(kind="shadow-boxer", reaction=2, attack=1.2, jump=0.2, dodge=0.25, travels=0.25)),
    (0.02, Habits(kind="hostile", reaction=1, attack=1.0, jump=0.5, dodge=0.5, travels=0.3)),
    (0.03, Habits(kind="idle", reaction=4, wait=14.0, pause=0.5, push=0.7, travels=0.4)),
)  # fmt: skip
"""Shares of the population, and habits."""


def draw_habits(rng: np.random.Generator) -> Habits:
    """A player from the population: one of its kinds, with a hand of its own."""
    shares = np.array([share for share, _ in POPULATION])
    habits = POPULATION[int(rng.choice(len(POPULATION), p=shares / shares.sum()))][1]
    own = float(rng.lognormal(0.0, 0.25))
    return replace(habits, wobble=habits.wobble * own, jump=habits.jump * float(rng.lognormal(0.0, 0.4)))


def find_way(start: Point, goal: str, rng: np.random.Generator, detour: float) -> list[Point]:
    """A way over the launch island to a node, the shortest to this player's taste (Dijkstra, 1959)."""
    first = min(WAYPOINTS, key=lambda name: math.dist(start, WAYPOINTS[name]))
    taste = {name: math.exp(float(rng.normal(0.0, detour))) if detour else 1.0 for name in WAYPOINTS}
    queue: list[tuple[float, str, tuple[str, ...]]] = [(0.0, first, (first,))]
    done: set[str] = set()
    while queue:
        length, name, way = heapq.heappop(queue)
        if name == goal:
            points = [WAYPOINTS[n] for n in way]
            skip = len(points) > 1 and math.dist(start, points[1]) < math.dist(points[0], points[1])
            return points[1:] if skip else points
        if name in done:
            continue
        done.add(name)
        for other in NEIGHBOURS[name]:
            step = math.dist(WAYPOINTS[name], WAYPOINTS[other]) * taste[other]
            heapq.heappush(queue, (length + step, other, (*way, other)))
    raise ValueError(f"no way to {goal!r}")


class Player:
    """One player. `begin` starts a life, `act` gives an action for each tenth of a second of it."""

    def __init__(self, habits: Habits, rng: np.random.Generator) -> None:
        self.habits = habits
        self._rng = rng
        self._taste = np.array(habits.tastes) * rng.lognormal(0.0, 0.35, 3)
        self._way: list[Point] = []
        self._seen: deque[tuple[float, float]] = deque()  # turn and distance, of the last few steps
        self._turned: deque[float] = deque()  # by the right stick, in as many steps

    def begin(self, position: Point, target: str | None = None) -> None:
        """Start a life at a spawn, on the way to a pad where `target` names one or the player wants to."""
        rng, habits = self._rng, self.habits
        self._launched = False
        self._wait = round(10 * rng.exponential(habits.wait)) if habits.wait else 0
        self._drift, self._look, self._stuck, self._escape = 0.0, 0.0, 0, 0
        self._seen = deque(maxlen=habits.reaction + 1)
        self._turned = deque(maxlen=habits.reaction)
        self._last = position
        self._travels = target is not None or rng.random() < habits.travels
        if self._travels:
            taste = self._taste.copy()
            taste[0 if position[0] < 0 else 2] *= 1.25  # the nearer side
            goal = target or JUMPPADS[int(rng.choice(3, p=taste / taste.sum()))]
            self._way = find_way(position, goal, rng, habits.detour)
        else:
            self._way = self._errand(position)

    def act(self, x: float, y: float, yaw: float, flying: bool) -> NDArray[np.uint8]:
        """What the hands do now.

        Args: x, y: metres, where the figure stands. yaw: radians, where the camera looks. flying: launched by a pad.
        Returns: (16,) uint8.
        """
        action = NOOP.copy()
        if flying:
            self._launched, self._way = True, []
            return action
        rng, habits = self._rng, self.habits
        if self._wait > 0:
            self._wait -= 1
            return self._look_around(action)
        if habits.pause and rng.random() < habits.pause / 10:
            self._wait = round(10 * rng.uniform(0.4, 1.6))
        self._follow_way(x, y)
        turn = self._turn_to_way(x, y, yaw)
        self._seen.append(turn)
        late, distance = self._seen[0]
        self._steer(action, late - sum(self._turned), distance)  # the hands know what they have done since
        self._fidget(action)
        self._free_itself(action, x, y)
        return action

    def _errand(self, position: Point) -> list[Point]:
        """Somewhere to go for one who has no pad in mind."""
        rng = self._rng
        if self._launched:
            return [_MAIN_ISLAND[int(rng.integers(len(_MAIN_ISLAND)))]]
        if self.habits.attack > 0.5 and rng.random() < 0.7:
            dummy = min(DUMMIES, key=lambda p: math.dist(p, position) * rng.uniform(0.7, 1.3))
            return [(dummy[0] + 0.8, dummy[1] - 0.6)]
        names = sorted(set(WAYPOINTS) - {*JUMPPADS})
        return find_way(position, names[int(rng.integers(len(names)))], rng, self.habits.detour)

    def _follow_way(self, x: float, y: float) -> None:
        """Leave turning points behind; think of something else to do at the end."""
        while self._way and math.dist((x, y), self._way[0]) < (0.6 if len(self._way) == 1 else self.habits.looseness):
            self._way.pop(0)
            if not self._way:
                self._wait = round(10 * self._rng.exponential(1.0)) if not self._travels or self._launched else 0
        if not self._way:
            self._way = self._errand((x, y))

    def _turn_to_way(self, x: float, y: float, yaw: float) -> tuple[float, float]:
        """How far to turn, in radians, and how far the next turning point is."""
        next_x, next_y = self._way[0]
        self._drift = 0.85 * self._drift + self.habits.wobble * float(self._rng.normal())
        turn = math.atan2(next_x - x, next_y - y) + self._drift - yaw
        return (turn + math.pi) % (2 * math.pi) - math.pi, math.dist((x, y), (next_x, next_y))

    def _steer(self, action: NDArray[np.uint8], turn: float, distance: float) -> None:
        """Turn the camera towards the way, and push the stick the way itself."""
        share = 0.36 * turn / FULL_TURN
        if abs(turn) > 0.05:
            action[14] = round(CENTRE + 5 * math.copysign(min(1.0, abs(share)) ** (2 / 3), share))
        stick = (int(action[14]) - CENTRE) / 5
        self._turned.append(math.copysign(abs(stick) ** 1.5, stick) * FULL_TURN)
        push = self.habits.push
        sideways = math.sin(turn) if abs(turn) > 0.16 else 0.0
        ahead = math.cos(turn) if abs(turn) > 0.5 else 1.0
        if distance < 2.0 and abs(turn) > 1.2:  # past it: turn on the spot rather than run around it
            push *= 0.4
        action[12] = round(CENTRE + 5 * push * sideways)
        action[13] = round(CENTRE + 5 * push * ahead)

    def _fidget(self, action: NDArray[np.uint8]) -> None:
        """The buttons that a player likes to press."""
        habits, draw = self.habits, self._rng.random(3)
        if draw[0] < habits.jump / 10:
            action[BUTTONS.index("A")] = 1
        if draw[1] < habits.dodge / 10:
            action[BUTTONS.index("B")] = 1
        if draw[2] < habits.attack / 10:
            button = ("X", "X", "X", "Y", "RT", "RB", "LB", "LT", "UP")[int(self._rng.integers(9))]
            action[BUTTONS.index(button)] = 1

    def _free_itself(self, action: NDArray[np.uint8], x: float, y: float) -> None:
        """Notice that nothing moves, and try a step aside and a jump."""
        moved = math.dist((x, y), self._last)
        self._last = (x, y)
        self._stuck = self._stuck + 1 if moved < 0.12 else 0
        if self._stuck > 5 + 2 * self.habits.reaction:
            self._escape = int(self._rng.integers(4, 9)) * (1 if self._rng.random() < 0.5 else -1)
            self._stuck = 0
        if self._escape:
            side = 1 if self._escape > 0 else -1
            action[12], action[13] = CENTRE + 5 * side, CENTRE - 3
            action[BUTTONS.index("A")] = abs(self._escape) == 3
            self._escape -= side

    def _look_around(self, action: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Stand, and turn the camera a little now and then."""
        rng = self._rng
        self._look = 0.8 * self._look + float(rng.normal(0.0, 0.16))
        if abs(self._look) > 0.25:
            action[14] = round(CENTRE + 5 * max(-1.0, min(1.0, self._look)))
        if self.habits.attack > 0.5:
            self._fidget(action)
        return action


def eyes(body: Any) -> tuple[float, float, float, bool]:
    """What `Player.act` wants to know of a body, from its record."""
    return float(body["x"]), float(body["y"]), float(body["yaw"]), float(body["flight"]) >= 0.0
