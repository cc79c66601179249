"""A person plays the stand-in: ten steps a second, like the agent."""

from pathlib import Path

import numpy as np
import pygame

from envs.backend import SPAWNS
from envs.errors import OptionError
from envs.gamepad import encode
from envs.screen import Screen
from envs.standin.characters import NAMES, SKINS
from envs.standin.replay import Recorder
from envs.standin.simulation import picture_of
from skygarden.hands import ESCAPE, HELP, NEW_LIFE, Hands, Touch


def play(character: str, skin: int, record: Path | None, size: int) -> None:
    """Play until the window is closed; keep the play as a replay where `record` names a file.

    Raises: OptionError: there is no such character or skin.
    """
    if character not in NAMES or not 0 <= skin < SKINS:
        raise OptionError(f"choose a character of {', '.join(NAMES)} and a skin from 0 to {SKINS - 1}")
    index = NAMES.index(character)
    recorder = Recorder(dressing=0, character=index, skin=skin, player="person", seed=0)
    rng = np.random.default_rng()
    screen = Screen("Skygarden", (size, size), fps=10)
    print(HELP)
    try:
        recorder.begin(int(rng.integers(SPAWNS)))
        screen.show(picture_of(recorder.stage, recorder.body, index, skin, size, size))
        hands = Hands()
        touch = Touch()
        while not touch.closed and ESCAPE not in touch.presses:
            touch = hands.read(pygame.event.get())
            recorder.step(encode(touch.pad))
            if not {"START", NEW_LIFE}.isdisjoint(touch.presses):
                recorder.begin(int(rng.integers(SPAWNS)))
            screen.show(picture_of(recorder.stage, recorder.body, index, skin, size, size))
    finally:
        screen.close()
        if record is not None and len(recorder):
            record.parent.mkdir(parents=True, exist_ok=True)
            recorder.replay().save(record)
            print(f"kept {len(recorder) / 10:.0f} s of play; see it with: skygarden watch {record}")
