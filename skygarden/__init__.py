"""Skygarden: align an agent with what you prefer, in a game, from pixels, through a gamepad.

Importing this package registers `Skygarden-v0` with Gymnasium.
"""

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

__version__ = "0.1.0"

_SPEC = EnvSpec(
    "Skygarden-v0",
    entry_point="envs.skygarden:SkygardenEnv",
    vector_entry_point="envs.vector:SkygardenVectorEnv",
)
gym.registry.setdefault(_SPEC.id, _SPEC)
