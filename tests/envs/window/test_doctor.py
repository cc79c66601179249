"""Laws of an examination: every fault has its finding and something to do, it ends, and leaves nothing held down."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envs.window.doctor import CHECKS, Doctor
from envs.window.findings import Check, Finding, Patient, Verdict, good, summary
from envs.window.pad import PadState
from tests.envs.window.fake_game import PROFILE, World, write_profile

NAMES = ["profile", *(check.name for check in CHECKS)]


@pytest.fixture
def world() -> World:
    return World()


def examine(world: World, path: Path | str, **system: Any) -> dict[str, Finding]:
    """All findings by name; nothing may be held afterwards."""
    doctor = Doctor(path, world.tools(), replace(world.system(), **system))
    findings = list(doctor.examine())
    assert [finding.name for finding in findings] == NAMES
    assert not world.held
    assert not any(pad.open for pad in world.pads)
    for finding in findings:
        assert bool(finding.advice) == (finding.state in ("warning", "fault")), finding
    return {finding.name: finding for finding in findings}


def states(found: dict[str, Finding], state: str) -> set[str]:
    return {name for name, finding in found.items() if finding.state == state}


def test_a_game_that_is_well_is_found_to_be(world: World, tmp_path: Path):
    doctor = Doctor(write_profile(tmp_path), world.tools(), world.system())
    found = {finding.name: finding for finding in doctor.examine()}
    assert states(found, "good") == {*NAMES} - {"jump pads"}
    assert states(found, "warning") == {"jump pads"}  # the profile names no detector
    assert "by 1 steps" in found["reset"].said
    evidence = doctor.evidence
    assert evidence.at_start
    assert evidence.window is not None
    assert evidence.window.shape == (240, 320, 3)
    assert evidence.agent is not None
    assert evidence.agent.shape == (128, 128, 3)
    assert evidence.seen == (0.0, 0.0, 1.0, 1.0)
    ((look,), (step,)) = evidence.looks, evidence.steps
    assert (look.name, look.difference, look.tolerance) == ("playing", 0.0, 12.0)
    assert (step.look, step.pressed, step.nearest, step.reached) == ("playing", ("START",), 0.0, True)
    assert summary(found.values()) == "It works, with 1 warning."


def test_a_profile_that_is_not_there_is_the_only_fault(world: World, tmp_path: Path):
    found = examine(world, tmp_path / "none.toml")
    assert states(found, "fault") == {"profile"}
    assert states(found, "skipped") == {*NAMES} - {"profile"}
    assert summary(found.values()) == "1 fault to mend before an agent can play. 13 of 14 checks could not be made."


AFTER_WINDOW = {"front", "capture", "pad", "button", "watchdog", "reset", "motion", "answer", "clock"}
AFTER_FRONT = AFTER_WINDOW - {"front"}
AFTER_CAPTURE = {"reset", "motion", "answer", "clock"}
AFTER_PAD = {"button", "watchdog", "reset", "answer", "clock"}

FAULTS = [
    ({"windows": 0}, "window", "one window titled", "Start the game", AFTER_WINDOW),
    ({"windows": 2}, "window", "2 are there", "window.title", AFTER_WINDOW),
    ({"focused": False}, "front", "without the keyboard's focus", "to the front", AFTER_FRONT),
    ({"reads": False}, "capture", "cannot be read", "whole window on the screen", AFTER_CAPTURE),
    ({"black": True}, "capture", "black for 5 s", "exclusive full screen", AFTER_CAPTURE),
    ({"grab_seconds": 0.2}, "capture", "a grab takes 200.0 ms", "smaller", AFTER_CAPTURE),
    ({"plugs": False}, "pad", "cannot be plugged in", "Install what is missing", AFTER_PAD),
    ({"touched": "touched: key w"}, "pad", "touched: key w", "Install what is missing", AFTER_PAD),
    ({"lets_go": False}, "watchdog", "the pad said nothing", "Report this", set()),
    ({"starts": False}, "reset", "in 2 attempts", "never came though START was pressed", {"answer"}),
    ({"frozen": True}, "motion", "no pixel has changed for 3 s", "pauses or hangs", {"answer"}),
    ({"deaf": True}, "answer", "the right stick moves nothing", "takes this pad or these keys", set()),
]


@pytest.mark.parametrize(("wrong", "check", "said", "advice", "skipped"), FAULTS)
def test_every_fault_is_found_and_has_something_to_do(
    world: World, tmp_path: Path, wrong: dict[str, Any], check: str, said: str, advice: str, skipped: set[str]
):
    for name, value in wrong.items():
        assert hasattr(world, name)
        setattr(world, name, value)
    found = examine(world, write_profile(tmp_path))
    assert states(found, "fault") == {check}
    assert said in found[check].said
    assert advice in found[check].advice
    assert states(found, "skipped") == skipped


def test_a_reset_that_fails_shows_what_was_there(world: World, tmp_path: Path):
    world.starts = False
    doctor = Doctor(write_profile(tmp_path), world.tools(), world.system())
    list(doctor.examine())
    steps = doctor.evidence.steps
    assert steps
    assert not any(step.reached for step in steps)
    assert steps[0].nearest == pytest.approx(255 / 12)
    assert steps[0].window is not None
    assert not doctor.evidence.at_start


def test_a_picture_that_goes_on_turning_is_a_warning(world: World, tmp_path: Path):
    plug = world.plug

    class Sticky(type(plug(load(tmp_path), 7))):
        def hold(self, state: PadState) -> str | None:
            world.drifts = world.drifts or state.rx > 0
            return super().hold(state)

    world.pads.clear()
    world.plug = lambda config, window: world.pads.append(Sticky(world, config)) or world.pads[-1]
    found = examine(world, write_profile(tmp_path))
    assert "goes on changing" in found["answer"].said


def load(folder: Path) -> Any:
    from envs.window.profile import load_profile

    return load_profile(write_profile(folder)).pad


def test_a_press_that_nobody_hears_is_a_fault(world: World, tmp_path: Path):
    class Deaf:
        def held(self) -> bool:
            return False

        def close(self) -> None:
            pass

    found = examine(world, write_profile(tmp_path), listen=lambda *_: Deaf())
    assert found["button"].said == "LB was pressed and the system has not heard of it"


def test_a_key_that_somebody_else_holds_is_a_fault(world: World, tmp_path: Path):
    class Stuck:
        def held(self) -> bool:
            return True

        def close(self) -> None:
            pass

    found = examine(world, write_profile(tmp_path), listen=lambda *_: Stuck())
    assert "still down" in found["button"].said
    assert "the system does not" in found["watchdog"].said


def test_where_nothing_can_be_read_back_it_is_said(world: World, tmp_path: Path):
    found = examine(world, write_profile(tmp_path), listen=lambda *_: "this system tells nobody")
    assert (found["button"].state, found["button"].said) == ("skipped", "this system tells nobody")
    assert found["watchdog"].said == "let go of LB by itself"


def test_a_capture_that_takes_a_third_of_a_step_is_a_warning(world: World, tmp_path: Path):
    world.grab_seconds = 0.03
    found = examine(world, write_profile(tmp_path))
    assert states(found, "warning") == {"capture", "jump pads"}


def test_steps_that_do_not_come_in_time_are_told(world: World, tmp_path: Path):
    sleep = world.sleep
    world.sleep = lambda seconds: sleep(seconds + 0.008 * (seconds > 0))
    found = examine(world, write_profile(tmp_path))
    assert found["clock"].state == "fault"
    assert "p99 of lateness 8.0 ms, 50 missed" in found["clock"].said


MACHINES: list[tuple[dict[str, Any], str, str, str]] = [
    ({"has": lambda name: name != "mss"}, "packages", "not installed: mss", "pip install 'skygarden[window]'"),
    ({"platform": "linux", "has": lambda name: name != "Xlib"}, "packages", "python-xlib", "pip install"),
    ({"platform": "darwin"}, "display", "windows cannot be found on darwin", "Linux with X11, or Windows"),
    ({"platform": "linux"}, "display", "DISPLAY is not set", "set DISPLAY"),
    ({"platform": "linux", "environment": {"WAYLAND_DISPLAY": "w-0"}}, "display", "Wayland session", "gamescope"),
    ({"platform": "linux", "environment": {"DISPLAY": ":5999"}}, "display", "no X server at ':5999'", "set DISPLAY"),
]


@pytest.mark.parametrize(("machine", "check", "said", "advice"), MACHINES)
def test_what_a_machine_lacks_is_named(
    world: World, tmp_path: Path, machine: dict[str, Any], check: str, said: str, advice: str
):
    found = examine(world, write_profile(tmp_path), **machine)
    assert states(found, "fault") == {check}
    assert said in found[check].said
    assert advice in found[check].advice
    assert found["window"].state == "skipped"


PADS: list[tuple[dict[str, Any], str, str]] = [
    ({"has": lambda name: name != "vgamepad"}, "not installed: vgamepad", "pip install"),
    ({"exists": lambda _: False}, "there is no /dev/uinput", "modprobe uinput"),
    ({"writable": lambda _: False}, "may not be written", 'KERNEL=="uinput"'),
    ({"loads": lambda _: False}, "libevdev.so.2", "apt install libevdev2"),
]


@pytest.mark.parametrize(("machine", "said", "advice"), PADS)
def test_what_a_virtual_gamepad_lacks_is_named(
    world: World, tmp_path: Path, machine: dict[str, Any], said: str, advice: str
):
    path = write_profile(tmp_path, PROFILE.replace('"keyboard"', '"gamepad"'))
    found = examine(world, path, platform="linux", **machine)
    assert states(found, "fault") == {"packages"}
    assert said in found["packages"].said
    assert advice in found["packages"].advice


def checks_with(look: Callable[[Patient], Verdict], limit: float) -> list[Check]:
    return [Check("odd", look, advice="Do that.", limit=limit), Check("next", lambda _: good("fine"))]


def test_a_check_that_hangs_ends_the_examination_and_the_pad_is_let_go(world: World, tmp_path: Path):
    never = threading.Event()

    def hang(patient: Patient) -> Verdict:
        patient.rig.hold(PadState(rx=1.0))
        never.wait()
        return good("")

    doctor = Doctor(write_profile(tmp_path), world.tools(), world.system(), checks_with(hang, 0.3))
    _, odd, following = doctor.examine()
    assert (odd.state, odd.said) == ("fault", "no end after 0.3 s")
    assert (following.state, following.said) == ("skipped", "“odd” hangs")
    assert not world.held
    assert not world.pads[-1].open
    never.set()


def test_what_nobody_foresaw_is_a_finding_too(world: World, tmp_path: Path):
    def fail(_: Patient) -> Verdict:
        raise ZeroDivisionError("so it goes")

    doctor = Doctor(write_profile(tmp_path), world.tools(), world.system(), checks_with(fail, 5.0))
    _, odd, following = doctor.examine()
    assert odd.said == "it failed: ZeroDivisionError: so it goes"
    assert odd.advice == "This was not foreseen. Do that."
    assert following.state == "good"


def test_somebody_who_has_seen_enough_leaves_nothing_held(world: World, tmp_path: Path):
    examination = Doctor(write_profile(tmp_path), world.tools(), world.system()).examine()
    for finding in examination:
        if finding.name == "pad":
            world.pads[-1].hold(PadState(frozenset({"LB"})))
            break
    examination.close()
    assert not world.held
    assert not world.pads[-1].open


@pytest.mark.slow
def test_the_stand_in_in_its_window_is_well(xvfb: str, monkeypatch: pytest.MonkeyPatch):
    for name in ("WAYLAND_DISPLAY", "XDG_SESSION_TYPE", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", xvfb)
    doctor = Doctor("standin-keyboard")
    found = {finding.name: finding for finding in doctor.examine()}
    timed = {"capture", "clock", "jump pads"}  # a busy machine is slow, which is no fault of ours
    assert states(found, "good") | timed == {*NAMES}, found
    assert "X server" in found["display"].said
    assert "was heard after" in found["button"].said
    assert "by the system's account" in found["watchdog"].said
    assert len(doctor.evidence.steps) >= 8
    assert doctor.evidence.at_start
    near = {look.name for look in doctor.evidence.looks if look.difference <= look.tolerance}
    assert near == {"playing"}
