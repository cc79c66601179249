"""Skygarden: align an agent with what you prefer, in a game, from pixels, through a gamepad.

Importing this package registers `Skygarden-v0` with Gymnasium.
"""

import gymnasium as gym

__version__ = "0.1.0"

if "Skygarden-v0" not in gym.registry:
    gym.register(
        "Skygarden-v0",
        entry_point="envs.skygarden:SkygardenEnv",
        vector_entry_point="envs.vector:SkygardenVectorEnv",
    )
