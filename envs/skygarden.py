"""Skygarden-v0: cross the launch island to a jump pad, from pixels, through a gamepad.

Source: paper, section 2. The task is the paper's; the backend decides in which world.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from envs import gamepad
from envs.backend import SIDE, Backend, View
from envs.errors import OptionError, StepError
from envs.screen import Screen
from envs.standin.backend import StandinBackend
from envs.task import MAX_STEPS, Reward, RewardKind, check_seed, draw_start

BACKENDS: Final = ("standin", "window")
RENDER_MODES: Final = ("rgb_array", "human")
FPS: Final = 10
_LARGEST: Final = 4096  # pixels, of a rendered frame's side
METADATA: Final[dict[str, Any]] = {"render_modes": list(RENDER_MODES), "render_fps": FPS}

Frame = NDArray[np.uint8]


def make_backend(
    name: str, *, profile: str | Path | None = None, seed: int = 0, spawn_animation: bool = False
) -> Backend:
    """The backend of a name, with the settings that are its own.

    Raises: OptionError: there is no such backend, or it has no such setting. ProfileError: as `load_profile`.
    """
    if name not in BACKENDS:
        raise OptionError(f"unknown backend {name!r}; there are {', '.join(BACKENDS)}")
    if name == "standin":
        if profile is not None:
            raise OptionError(f"profile={str(profile)!r} is of a game's window; say backend='window' with it")
        return StandinBackend(seed, spawn_animation)
    if profile is None:
        raise OptionError("backend='window' needs profile=, a game's .toml file or the name of one in the box")
    if seed or spawn_animation:
        raise OptionError("seed and spawn_animation are the stand-in's; a real game looks as it looks: leave them out")
    from envs.window.backend import WindowBackend
    from envs.window.profile import load_profile

    return WindowBackend(load_profile(profile))


class SkygardenEnv(gym.Env[Frame, NDArray[np.integer[Any]]]):
    """The environment. An episode ends on a pad (terminated) or after 100 steps (truncated).

    Observations are frames, (128, 128, 3) uint8, ten a second; actions are MultiDiscrete([2] * 12 + [11] * 4), see
    `envs.gamepad`. The reward is 0 unless asked for. `info` holds privileged state for evaluation: `jumppad` (the pad
    reached, or None), `spawn`, `character`, `skin`, `position` (metres), `falls`. Where the game was lost on the way,
    the episode is truncated and `info["interrupted"]` says why: nothing follows from it.

    Args:
        backend: "standin", or "window" for a game's window; see `envs.window.backend` for its `info`.
        profile: of the game, with backend="window": a .toml file, or the name of one in the box.
        reward: "none", or "jumppad" for 1 on reaching `target` (any pad where it is None).
        render_mode: "rgb_array" or "human".
        render_size: (width, height) of rendered frames, in pixels.
        seed: of the world's dressing; pads and spawns are the same in all of them.
        spawn_animation: whether the figure appears with an animation that takes most of a second.
    Raises: OptionError: a setting is unknown or out of range.
    """

    metadata = METADATA

    def __init__(
        self,
        *,
        backend: str = "standin",
        profile: str | Path | None = None,
        reward: RewardKind = "none",
        target: str | None = None,
        render_mode: str | None = None,
        render_size: tuple[int, int] = (512, 512),
        seed: int = 0,
        spawn_animation: bool = False,
    ) -> None:
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise OptionError(f"render_mode must be one of {', '.join(RENDER_MODES)} or None, got {render_mode!r}")
        _check_size(render_size)
        check_seed(seed)
        self.observation_space = gym.spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)
        self.action_space = gamepad.space()
        self.render_mode = render_mode
        self._reward = Reward(reward, target)
        self._backend = make_backend(backend, profile=profile, seed=seed, spawn_animation=spawn_animation)
        self._size = render_size
        self._screen = Screen("Skygarden", render_size, FPS) if render_mode == "human" else None
        self._steps: int | None = None  # since the reset; None where a reset is due
        self._closed = False
        self._made_with: dict[str, Any] = {
            "backend": backend,
            "profile": profile,
            "reward": reward,
            "target": target,
            "render_mode": render_mode,
            "render_size": render_size,
            "seed": seed,
            "spawn_animation": spawn_animation,
        }

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Frame, dict[str, Any]]:
        """Begin an episode.

        Args: options: `spawn` (0 to 3), `character` (a name or "random"), `skin` (0 to 2 or "random").
        Raises: OptionError: an option is unknown or out of range. StepError: after close.
        """
        self._check_open()
        super().reset(seed=seed)
        start = draw_start(self.np_random, options, self._backend.characters, self._backend.skins)
        view = self._backend.reset(start)
        self._steps = 0
        self._show()
        return view.frame, self._info(view)

    def step(self, action: NDArray[np.integer[Any]]) -> tuple[Frame, float, bool, bool, dict[str, Any]]:
        """Hold an action for a tenth of a second.

        Raises: ActionError: the action is not one. StepError: before a reset, or after the episode's end.
        """
        checked = gamepad.check(action)
        if self._steps is None:
            raise StepError("call reset() first: no episode has begun, or it has ended, or the environment is closed")
        view = self._backend.step(checked)
        self._steps += 1
        terminated = view.jumppad is not None
        truncated = not terminated and (self._steps >= MAX_STEPS or view.interrupted is not None)
        if terminated or truncated:
            self._steps = None
        self._show()
        return view.frame, self._reward.of(view.jumppad), terminated, truncated, self._info(view)

    def render(self) -> Frame | list[Frame] | None:
        """The present view at `render_size` with render_mode="rgb_array"; None otherwise."""
        self._check_open()
        if self.render_mode != "rgb_array":
            return None
        return self._backend.picture(*self._size)

    def close(self) -> None:
        """Let go of the backend and the window; may be called twice."""
        self._closed, self._steps = True, None
        self._backend.close()
        if self._screen is not None:
            self._screen.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a new environment with the same settings: a running episode does not travel."""
        return _remake, (self._made_with,)

    def _check_open(self) -> None:
        if self._closed:
            raise StepError("this environment is closed; make a new one")

    def _show(self) -> None:
        if self._screen is not None:
            self._screen.show(self._backend.picture(*self._size))

    def _info(self, view: View) -> dict[str, Any]:
        return {"jumppad": view.jumppad, "interrupted": view.interrupted, **view.info}


def _check_size(size: Any) -> None:
    sides: list[Any] = [*size] if isinstance(size, Iterable) else []
    if len(sides) != 2 or not all(isinstance(n, int) and 1 <= n <= _LARGEST for n in sides):
        raise OptionError(f"render_size must be (width, height), integers from 1 to {_LARGEST} pixels, got {size!r}")


def _remake(settings: dict[str, Any]) -> SkygardenEnv:
    return SkygardenEnv(**settings)
