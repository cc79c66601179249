"""What every backend promises, whatever world is behind it. A new backend is one entry in BACKENDS."""

from collections.abc import Callable
from typing import Final

import numpy as np
import pytest

from envs.backend import JUMPPADS, SIDE, SPAWNS, Backend, Start
from envs.gamepad import NOOP
from envs.standin.backend import StandinBackend
from envs.window.backend import WindowBackend
from envs.window.profile import load_profile

BACKENDS: Final[dict[str, Callable[[], Backend]]] = {
    "standin": StandinBackend,
    "window": lambda: WindowBackend(load_profile("standin-keyboard")),
}
NAMES: Final = ["standin", pytest.param("window", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    """A backend's, where it can be had."""
    if request.param == "window":
        request.getfixturevalue("game_display")
    return request.param


@pytest.fixture(scope="module")
def backend(name):
    """A backend to play in."""
    made = BACKENDS[name]()
    yield made
    made.close()


def check_view(view):
    assert view.frame.shape == (SIDE, SIDE, 3)
    assert view.frame.dtype == np.uint8
    assert view.jumppad is None or view.jumppad in JUMPPADS
    assert view.interrupted is None or isinstance(view.interrupted, str)
    assert all(isinstance(key, str) for key in view.info)


def first(backend):
    return Start(0, backend.characters[0], 0)


def test_it_has_characters_with_names_of_their_own_and_skins(backend):
    assert len(backend.characters) >= 1
    assert len(set(backend.characters)) == len(backend.characters)
    assert all(isinstance(name, str) and name and name != "random" for name in backend.characters)
    assert backend.skins >= 1


@pytest.mark.parametrize("spawn", range(SPAWNS))
def test_an_episode_begins_at_every_spawn(backend, spawn):
    view = backend.reset(Start(spawn, backend.characters[-1], backend.skins - 1))
    check_view(view)
    assert view.jumppad is None
    assert view.interrupted is None


def test_every_step_gives_a_view(backend, random_actions):
    backend.reset(first(backend))
    for action in random_actions(0, 20):
        check_view(backend.step(action))


def test_holding_an_action_is_seen(backend):
    still = backend.reset(first(backend)).frame
    turn = NOOP.copy()
    turn[14] = 10  # the right stick, to the right
    for _ in range(4):
        backend.step(turn)
    assert (
        np.mean(np.any(backend.step(turn).frame != still, axis=-1)) > 0.3
    )  # half a second turns the view by a quarter or so


def test_a_view_that_was_handed_out_stays_as_it_was(backend, random_actions):
    view = backend.reset(first(backend))
    kept = view.frame.copy()
    for action in random_actions(1, 10):
        backend.step(action)
    backend.reset(first(backend))
    assert np.array_equal(view.frame, kept)


def test_it_takes_an_action_without_changing_it(backend):
    backend.reset(first(backend))
    action = NOOP.copy()
    backend.step(action)
    assert np.array_equal(action, NOOP)


@pytest.mark.parametrize(("width", "height"), [(128, 128), (33, 17), (320, 180)])
def test_it_gives_a_picture_of_any_size(backend, width, height):
    backend.reset(first(backend))
    picture = backend.picture(width, height)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8


def test_an_episode_can_begin_anew_at_any_time(backend, random_actions):
    for steps in (0, 1, 7):
        view = backend.reset(first(backend))
        assert view.jumppad is None
        for action in random_actions(steps, steps):
            backend.step(action)


@pytest.mark.parametrize("begun", [True, False])
def test_it_can_be_closed_twice_begun_or_not(name, begun):
    backend = BACKENDS[name]()
    if begun:
        backend.reset(first(backend))
    backend.close()
    backend.close()
