"""Run where /dev/uinput can be written: a virtual pad is pushed, and read as a person's would be.

Prints a line of JSON for each state: what was pushed, and what was read.
"""

import json
import time

from envs.window.pad import PadConfig, PadState
from envs.window.pad_gamepad import GamepadPad
from rollout.lerobot.track import Held
from skygarden.recording.controller import ControllerHands

STATES = (
    PadState(),
    PadState(frozenset({"A", "RB", "LEFT", "BACK"}), 1.0, -0.5, 0.05, 0.2),
    PadState(frozenset({"LT", "Y", "START", "UP"}), -0.3, 1.0, -1.0, 0.0),
    PadState(frozenset({"RT"}), 0.0, 0.0, 0.0, -0.7),
    PadState(),
)


def main() -> None:
    hands = ControllerHands()  # before there is any pad
    for _ in range(5):
        assert hands.read() == Held()
    pad = GamepadPad(PadConfig())
    pad.apply(PadState(lx=1.0))
    until = time.monotonic() + 20.0
    while hands.read() == Held() and time.monotonic() < until:  # without udev SDL looks for pads every 3 s
        time.sleep(0.05)
    for state in STATES:
        pad.apply(state)
        held = Held()
        for _ in range(20):  # as the recorder looks, 60 times a second
            time.sleep(1 / 60)
            held = hands.read()
        print(json.dumps([[sorted(state.pressed), *state.sticks], [sorted(held.pressed), *held.axes]]), flush=True)
    pad.close()
    hands.close()


if __name__ == "__main__":
    main()
