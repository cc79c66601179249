"""Laws of measuring a game: what is put into a game in memory comes out; and a real window has plausible figures."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from envs.window.measure import Side, dead_zone, jitter, latency, looks_up
from envs.window.profile import load_profile
from envs.window.rig import Rig
from tests.envs.window.fake_game import World, gamepad_profile


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def rig(world: World, tmp_path: Path) -> Iterator[Rig]:
    """The game in memory, played by gamepad, in play."""
    rig = Rig(gamepad_profile(tmp_path), world.tools())
    rig.to_start()
    yield rig
    rig.close()
    assert not world.held


@pytest.mark.parametrize("seconds", [0.03, 0.12])
def test_latency_is_what_the_game_takes(world: World, rig: Rig, seconds: float):
    world.latency = seconds
    found = latency(rig, 6)
    assert len(found.values) == 6
    assert seconds <= found.median < seconds + 0.015  # a picture, and a push of some pixels, later
    assert found.percentile(90) < seconds + 0.02


def test_a_game_that_shows_nothing_has_no_latency(world: World, rig: Rig):
    world.deaf = True
    assert latency(rig, 2).values == ()


@pytest.mark.parametrize(("side", "zones", "expected"), [("right", (0.1, 0.265), 0.265), ("left", (0.24, 0.1), 0.24)])
def test_dead_zones_are_found(world: World, rig: Rig, side: Side, zones: tuple[float, float], expected: float):
    world.dead_zones = zones
    assert dead_zone(rig, side) == pytest.approx(expected, abs=0.01)
    assert world.pads[-1].config.sticks.left_dead_zone == 0.0


def test_a_stick_without_a_dead_zone_is_found_to_have_next_to_none(rig: Rig):
    found = dead_zone(rig, "right")
    assert found is not None
    assert found < 0.02


def test_a_stick_that_does_nothing_has_no_dead_zone(world: World, rig: Rig):
    world.deaf = True
    assert dead_zone(rig, "right") is None


@pytest.mark.parametrize("up", [1.0, -1.0])
def test_up_is_told_from_down(world: World, rig: Rig, up: float):
    world.up = up
    assert looks_up(rig) is (up > 0)


def test_a_game_that_cannot_look_up_says_nothing_of_it(world: World, rig: Rig):
    world.up = 0.0
    assert looks_up(rig) is None


def test_jitter_is_told_at_ten_frames_a_second(world: World, rig: Rig):
    world.grab_seconds = 0.004
    found = jitter(rig, 2.0)
    assert len(found.intervals.values) == 20
    assert found.intervals.median == pytest.approx(0.1, abs=1e-3)
    assert found.grabs.median == pytest.approx(0.004, abs=1e-3)


@pytest.mark.slow
def test_the_stand_in_is_measured_through_its_window(xvfb: str, monkeypatch: pytest.MonkeyPatch):
    for name in ("WAYLAND_DISPLAY", "XDG_SESSION_TYPE", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", xvfb)
    rig = Rig(load_profile("standin-keyboard"))
    try:
        rig.to_start()
        found = latency(rig, 8)
        assert len(found.values) >= 6
        assert 0.001 < found.median < 0.5
        rig.to_start()
        assert looks_up(rig) is True
        even = jitter(rig, 2.0)
        assert even.intervals.median == pytest.approx(0.1, abs=0.02)
        print(f"\nlatency {found.median:.3f} s, p90 {found.percentile(90):.3f}; intervals {even.intervals.values}")
    finally:
        rig.close()
