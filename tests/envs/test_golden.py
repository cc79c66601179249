"""Pictures of fixed views, as they should be.

Draw them anew with `pytest tests/envs/test_golden.py --update-golden`, and look at what git says has changed. Other
processors round differently (with plain SSE a few pixels of an edge), so a picture may differ a little.
"""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from envs.backend import SIDE
from envs.gamepad import Gamepad, encode
from envs.standin.characters import NAMES, SKINS
from envs.standin.island import PADS, height_at
from envs.standin.simulation import Simulation

GOLDEN = Path(__file__).parent / "golden"
MEAN = 1.5  # of 255, over all pixels and channels
FAR = 24  # of 255, in any channel
SHARE = 0.01  # of the pixels, at most, may be off by more than FAR


@pytest.fixture(scope="module")
def studio():
    """A world to take pictures of."""
    simulation = Simulation(1, 0)
    yield simulation
    simulation.close()


def press(simulation, steps, *pressed, **sticks):
    """Hold a gamepad state; returns the last frame."""
    frames = np.empty((1, SIDE, SIDE, 3), np.uint8)
    action = encode(Gamepad(frozenset(pressed), **sticks))[None]
    for _ in range(steps):
        simulation.advance(action, np.ones(1, np.bool_), frames)
    return frames[0].copy()


def view(simulation, x, y, facing, character=0, skin=0):
    """Somebody who has stood at a place for a second and a half, facing degrees from north."""
    simulation.put(0, 0, character, skin, False)
    body = simulation.bodies[0]
    body["x"], body["y"], body["z"] = x, y, height_at(simulation.stage.ground, x, y)
    body["yaw"] = body["facing"] = math.radians(facing)
    return press(simulation, 15)


def spawn_view(simulation, spawn):
    simulation.put(0, spawn, 0, 0, False)
    return press(simulation, 1)


def pad_view(simulation, index):
    """From 5 m before the pad."""
    pad = PADS[index]
    x, y = pad.x - 5.0 * math.sin(pad.yaw), pad.y - 5.0 * math.cos(pad.yaw)
    return view(simulation, x, y, math.degrees(pad.yaw))


def flight_view(simulation):
    """In the air between the islands, a second after the middle pad."""
    pad = PADS[1]
    view(simulation, pad.x, pad.y - 2.0, 0)
    press(simulation, 5, ly=1.0)
    return press(simulation, 8)


def figures(simulation, skin):
    """Everybody, turned by two thirds, on the lawn: 13 crops side by side."""
    crops = []
    for character in range(len(NAMES)):
        view(simulation, 0.0, -11.0, 90, character, skin)
        simulation.bodies[0]["facing"] += 2.2
        crops.append(press(simulation, 1)[34:110, 40:88])
    return np.concatenate(crops, axis=1)


MOVES = (  # what is held for how many steps
    (6, (), {"ly": 1.0}),
    (3, ("A",), {}),
    (2, ("B",), {"lx": 1.0}),
    (2, ("X",), {}),
    (3, ("Y",), {}),
    (2, ("RT",), {}),
    (2, ("LT",), {}),
    (3, ("LB",), {}),
    (3, ("UP",), {}),
)


def poses(simulation, character):
    """Run, jump, dodge, strike, heavy, throw, guard, cast, emote: 9 crops side by side."""
    crops = []
    for steps, pressed, sticks in MOVES:
        view(simulation, 0.0, -11.0, 90, character)
        simulation.bodies[0]["facing"] += 1.2  # from the side, where one stays
        crops.append(press(simulation, steps, *pressed, **sticks)[24:110, 32:96])
    return np.concatenate(crops, axis=1)


VIEWS = {
    **{f"spawn-{k}": lambda s, k=k: spawn_view(s, k) for k in range(4)},
    **{f"pad-{name}": lambda s, k=k: pad_view(s, k) for k, name in enumerate(("left", "middle", "right"))},
    "hall": lambda s: view(s, -4.5, -12.5, 30),
    "flight": flight_view,
    "main-island": lambda s: view(s, 0.0, 62.0, 0),
    "back-from-the-main-island": lambda s: view(s, 0.0, 62.0, 180),
    "large": lambda s: (view(s, 0.0, -21.0, 0), s.picture(0, 240, 180))[1],
    **{f"figures-{skin}": lambda s, k=skin: figures(s, k) for skin in range(SKINS)},
    **{f"poses-{name}": lambda s, k=k: poses(s, k) for k, name in enumerate(NAMES) if name in {"ninja", "giant"}},
}


def load(name):
    picture = cv2.imread(str(GOLDEN / f"{name}.png"))
    assert picture is not None, f"{name}.png is missing; draw it with --update-golden"
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def save(path, picture):
    path.parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def difference(picture, expected):
    """The mean difference, and the share of pixels that are far off."""
    apart = np.abs(picture.astype(int) - expected.astype(int))
    return float(apart.mean()), float(np.mean(apart.max(-1) > FAR))


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_looks_as_it_should(studio, name, request, tmp_path):
    picture = VIEWS[name](studio)
    if request.config.getoption("--update-golden"):
        save(GOLDEN / f"{name}.png", picture)
    expected = load(name)
    assert picture.shape == expected.shape
    mean, share = difference(picture, expected)
    if mean > MEAN or share > SHARE:
        apart = np.abs(picture.astype(int) - expected.astype(int)).astype(np.uint8)
        where = tmp_path / f"{name}.png"
        save(where, np.concatenate([expected, picture, apart], axis=1))
        pytest.fail(
            f"{name}: off by {mean:.1f} of 255, {share:.1%} of the pixels far off; expected, drawn, apart: {where}"
        )


def test_no_picture_is_left_over():
    assert {path.stem for path in GOLDEN.glob("*")} == set(VIEWS)


def test_a_view_that_is_off_by_one_pixel_would_be_noticed():
    for name in ("spawn-0", "pad-middle", "main-island", "figures-0"):
        picture = load(name)
        mean, share = difference(np.roll(picture, 1, axis=1), picture)
        assert mean > MEAN
        assert share > SHARE


def test_a_missing_hat_would_be_noticed():
    """Any two neighbours among the figures, and any two skins of one, are further apart than the tolerance."""
    sheets = [load(f"figures-{skin}") for skin in range(SKINS)]
    width = sheets[0].shape[1] // len(NAMES)
    crops = [[sheet[:, k * width : (k + 1) * width] for k in range(len(NAMES))] for sheet in sheets]
    for skin in range(SKINS):
        for k in range(len(NAMES) - 1):
            assert difference(crops[skin][k], crops[skin][k + 1])[1] > SHARE
            assert difference(crops[skin][k], crops[(skin + 1) % SKINS][k])[1] > SHARE
