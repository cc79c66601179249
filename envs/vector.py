"""Many Skygarden environments as one: one array of actions in, one array of frames out."""

import sys
from typing import Any, Final

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs import gamepad
from envs.backend import JUMPPADS, SIDE
from envs.errors import OptionError, StepError
from envs.standin.characters import NAMES, SKINS
from envs.standin.simulation import Simulation
from envs.task import MAX_STEPS, Reward, RewardKind, check_seed, draw_start

Frames = NDArray[np.uint8]
Flags = NDArray[np.bool_]
_ONLY_OURS = next(sys.getrefcount(array) for array in [np.empty(0)])  # as many references as a loop itself holds
_SPARES = 4

Seeds = int | list[int | None] | None

METADATA: Final[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 10}


class SkygardenVectorEnv(gym.vector.VectorEnv[Frames, NDArray[np.integer[Any]], NDArray[Any]]):
    """`num_envs` environments in the stand-in; each is, bit for bit, what a single one is.

    Args:
        reward, target, seed, spawn_animation: as SkygardenEnv.
        threads: how many processors draw.
        autoreset_mode: NEXT_STEP (an ended episode begins anew with the next step, whose action is ignored),
            SAME_STEP (at once; the last frame is in `info["final_obs"]`) or DISABLED (by
            `reset(options={"reset_mask": ...})`).
    Raises: OptionError: a setting is unknown or out of range.
    """

    metadata = METADATA

    def __init__(
        self,
        num_envs: int,
        *,
        backend: str = "standin",
        reward: RewardKind = "none",
        target: str | None = None,
        render_mode: str | None = None,
        seed: int = 0,
        spawn_animation: bool = False,
        threads: int = 1,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    ) -> None:
        self.closed = True  # until it is made: Gymnasium closes what it throws away
        if backend != "standin":
            raise OptionError(f"only backend='standin' can be batched, got {backend!r}")
        if autoreset_mode not in [*AutoresetMode, *(mode.value for mode in AutoresetMode)]:
            raise OptionError(
                f"autoreset_mode must be one of {[m.value for m in AutoresetMode]}, got {autoreset_mode!r}"
            )
        if num_envs < 1 or threads < 1:
            raise OptionError(f"num_envs and threads must be at least 1, got {num_envs} and {threads}")
        if render_mode not in (None, "rgb_array"):
            raise OptionError(f"render_mode must be 'rgb_array' or None, got {render_mode!r}")
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space = gym.spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)
        self.single_action_space = gamepad.space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self._reward = Reward(reward, target)
        self._spawn_animation = spawn_animation
        self._simulation = Simulation(num_envs, check_seed(seed), threads)
        self._rngs: list[np.random.Generator | None] = [None] * num_envs
        self._shape = (num_envs, SIDE, SIDE, 3)
        self._spare: list[Frames] = []  # arrays that have been handed out, and may have come back
        self._frames = np.zeros(self._shape, np.uint8)
        self._steps = np.zeros(num_envs, np.int64)
        self._ended = np.ones(num_envs, np.bool_)  # and not begun anew
        self._begun = False
        self.closed = False

    def reset(self, *, seed: Seeds = None, options: dict[str, Any] | None = None) -> tuple[Frames, dict[str, Any]]:
        """Begin episodes, in all environments or in those of `options["reset_mask"]`.

        Args: seed: of the first environment, the others follow by one; or a list. options: as SkygardenEnv.
        Raises: OptionError: an option is unknown or out of range.
        """
        if self.closed:
            raise StepError("this environment is closed; make a new one")
        starts = dict(options or {})
        mask = np.asarray(starts.pop("reset_mask", np.ones(self.num_envs, np.bool_)))
        if mask.dtype != np.bool_ or mask.shape != (self.num_envs,):
            raise OptionError(f"reset_mask must be {self.num_envs} booleans, got {mask.dtype} of shape {mask.shape}")
        if not self._begun and not mask.all():
            raise StepError("the first reset must be of all environments; leave out reset_mask")
        seeds = seed if isinstance(seed, list) else [None if seed is None else seed + k for k in range(self.num_envs)]
        if len(seeds) != self.num_envs:
            raise OptionError(f"needed a seed for each of {self.num_envs} environments, got {len(seeds)}")
        for k in np.flatnonzero(mask).tolist():
            if seeds[k] is not None or self._rngs[k] is None:
                self._rngs[k], _ = seeding.np_random(seeds[k])
            self._begin(k, starts)
        self._begun = True
        self._draw()
        return self._frames, self._infos(np.zeros(self.num_envs, np.int64) - 1)

    def step(
        self, actions: NDArray[np.integer[Any]]
    ) -> tuple[Frames, NDArray[np.float64], Flags, Flags, dict[str, Any]]:
        """Hold an action for a tenth of a second in each environment.

        Raises: ActionError: the actions are not of the action space. StepError: before a reset, or where an episode
            has ended and autoreset is disabled.
        """
        checked = gamepad.check(actions, self.num_envs)
        if not self._begun:
            raise StepError("call reset() before step(), and not after close()")
        renewed = self._ended.copy()
        if renewed.any():
            if self.autoreset_mode == AutoresetMode.DISABLED:
                raise StepError(f"episodes {np.flatnonzero(renewed).tolist()} have ended; reset them with reset_mask")
            for k in np.flatnonzero(renewed).tolist():
                self._begin(k, {})
        self._frames = self._unused()
        self._simulation.advance(checked, ~renewed, self._frames)
        self._steps += ~renewed
        pads = self._simulation.bodies["jumppad"].astype(np.int64)
        terminated = pads >= 0
        truncated = ~terminated & (self._steps >= MAX_STEPS)
        self._ended = terminated | truncated
        infos = self._infos(pads)
        rewards = np.array([self._reward.of(pad) for pad in infos["jumppad"]])
        if self.autoreset_mode == AutoresetMode.SAME_STEP and self._ended.any():
            infos = self._begin_at_once(infos)
        return self._frames, rewards, terminated, truncated, infos

    def render(self) -> tuple[Frames, ...] | None:
        """The present frames with render_mode="rgb_array"; None otherwise."""
        return tuple(self._frames.copy()) if self.render_mode == "rgb_array" else None

    def close_extras(self, **kwargs: Any) -> None:
        """Stop the threads."""
        self._begun = False
        self._simulation.close()

    def _begin(self, k: int, options: dict[str, Any]) -> None:
        rng = self._rngs[k]
        assert rng is not None
        start = draw_start(rng, options, NAMES, SKINS)
        self._simulation.put(k, start.known_spawn, NAMES.index(start.character), start.skin, self._spawn_animation)
        self._steps[k] = 0
        self._ended[k] = False

    def _begin_at_once(self, infos: dict[str, Any]) -> dict[str, Any]:
        ended = self._ended.copy()
        last = np.empty(self.num_envs, object)
        for k in np.flatnonzero(ended).tolist():
            last[k] = self._frames[k]
            self._begin(k, {})
        self._draw()
        present = self._infos(np.full(self.num_envs, -1))
        return {**present, "final_obs": last, "_final_obs": ended, "final_info": infos, "_final_info": ended}

    def _draw(self) -> None:
        """Draw everybody where they stand."""
        self._frames = self._unused()
        nobody = np.zeros(self.num_envs, np.bool_)
        self._simulation.advance(np.zeros((self.num_envs, 16), np.uint8), nobody, self._frames)

    def _unused(self) -> Frames:
        """An array for frames that nobody else holds: one that was let go of, as new memory costs a tenth of a step."""
        for array in self._spare:
            if sys.getrefcount(array) <= _ONLY_OURS:
                return array
        array = np.empty(self._shape, np.uint8)
        if len(self._spare) < _SPARES:
            self._spare.append(array)
        return array

    def _infos(self, pads: NDArray[np.int64]) -> dict[str, Any]:
        """Privileged state as arrays; `jumppad` is a name or None for each environment."""
        bodies = self._simulation.bodies
        return {
            "jumppad": np.array([JUMPPADS[p] if p >= 0 else None for p in pads.tolist()], object),
            "spawn": bodies["spawn"].astype(np.int64),
            "character": np.array(NAMES)[self._simulation.characters],
            "skin": self._simulation.skins.copy(),
            "position": np.stack([bodies["x"], bodies["y"], bodies["z"]], axis=1),
            "falls": bodies["falls"].astype(np.int64),
        }
