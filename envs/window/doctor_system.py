"""The checks of a machine and of a window: all that must be right before anything is pressed."""

from importlib import import_module
from typing import Final

import numpy as np

from envs.backend import SIDE
from envs.window.capture import Shot
from envs.window.findings import LookSeen, Patient, System, Verdict, fault, good, warning
from envs.window.frames import FrameVerdict, FrameWatch
from envs.window.locate import Rectangle
from envs.window.looks import difference, load_picture, part_of, seen_part
from envs.window.pad_gamepad import UINPUT
from envs.window.x11 import WAYLAND, is_wayland
from envs.window.xserver import XServer

SHOTS: Final = 100  # that are timed
SLOW: Final = 0.020  # seconds of a step that seeing may take, p99
FAR_TOO_SLOW: Final = 0.100  # a step
_BLACK: Final = 5.0  # seconds that a game may be black while it starts
_GLANCE: Final = 0.1

_INSTALL: Final = "pip install 'skygarden[window]'"


def packages(patient: Patient) -> Verdict:
    """Whether everything is installed that the profile needs."""
    profile, system = patient.rig.profile, patient.system
    needed = {"mss": "mss", "dxcam": "dxcam"}.get(profile.capture.grabber)
    wanted = [] if needed is None else [needed]
    if system.platform == "linux":
        wanted.append("Xlib")
    if profile.pad.driver == "gamepad":
        wanted.append("vgamepad")
    lacking = [name for name in wanted if not system.has(name)]
    if lacking:
        extra = "skygarden[dxcam]" if lacking == ["dxcam"] else "skygarden[window]"
        names = ", ".join("python-xlib" if name == "Xlib" else name for name in lacking)
        return fault(f"not installed: {names}", f"pip install '{extra}'")
    if profile.pad.driver == "gamepad":
        verdict = _gamepad(patient)
        if verdict is not None:
            return verdict
    return good(f"{', '.join(wanted)}: installed")


def _gamepad(patient: Patient) -> Verdict | None:
    """What a virtual gamepad lacks on this machine, if something."""
    system = patient.system
    if system.platform == "win32":
        try:
            import_module("vgamepad")  # it opens the bus of ViGEmBus
        except Exception as error:  # a bare Exception is what it raises
            advice = "Install the ViGEmBus driver from github.com/nefarius/ViGEmBus/releases and start Windows anew."
            return fault(f"vgamepad does not start: {error}", advice)
        return None
    if not system.exists(UINPUT):
        advice = "As root: modprobe uinput. Or set pad.driver to keyboard, if the game can be played by keys."
        return fault(f"the kernel gives no virtual pads: there is no {UINPUT}", advice)
    if not system.writable(UINPUT):
        rule = 'KERNEL=="uinput", GROUP="input", MODE="0660"'
        advice = (
            f"Put the rule {rule} into /etc/udev/rules.d/99-uinput.rules, add yourself to the group input, restart."
        )
        return fault(f"{UINPUT} may not be written", advice)
    if not system.loads("libevdev.so.2"):
        return fault("the library libevdev.so.2 is missing", "On Debian and Ubuntu: apt install libevdev2")
    return None


def display(patient: Patient) -> Verdict:
    """Whether there is a screen whose windows can be found."""
    system = patient.system
    if system.platform == "win32":
        return good("the desktop of Windows")
    if system.platform != "linux":
        return fault(f"windows cannot be found on {system.platform}", "Use Linux with X11, or Windows.")
    return _display_of_linux(system)


def _display_of_linux(system: System) -> Verdict:
    wayland = is_wayland(system.environment)
    name = system.environment.get("DISPLAY", "")
    if not name and wayland:
        return fault("this is a Wayland session without an X server", f"{WAYLAND}.")
    if not name:
        return fault("DISPLAY is not set", "Run this where the game runs, or set DISPLAY to its screen, like :0.")
    server = XServer(name)
    server.close()
    driver = system.environment.get("SDL_VIDEODRIVER", "")
    if driver in ("dummy", "offscreen"):
        return warning(f"X server {name}, but SDL_VIDEODRIVER is {driver}: SDL's games show no window", "Unset it.")
    if wayland:
        return warning(f"X server {name} within a Wayland session: only games that use it are seen", f"{WAYLAND}.")
    return good(f"X server {name}")


def window(patient: Patient) -> Verdict:
    """Whether there is one window of the game."""
    found = patient.rig.game.window()
    client = found.look().client
    if client is None:
        return fault(f"{found.title!r} was found and is gone", "See whether the game ends by itself.")
    process = "" if found.pid is None else f", process {found.pid}"
    place = f"{client.width}x{client.height} at {client.left}, {client.top}"
    started = ", which was started for this" if patient.rig.game.started else ""
    return good(f"{found.title!r} ({found.id:#x}{process}), {place}{started}")


def front(patient: Patient) -> Verdict:
    """Whether it can be seen and played."""
    patient.rig.game.to_front()
    return good("in front, with the keyboard's focus, and not covered")


def capture(patient: Patient) -> Verdict:
    """Whether its pixels can be had, and in time."""
    rig = patient.rig
    shot, verdict = _first(patient)
    take_evidence(patient, shot)
    if verdict.black:
        return fault(
            f"the window is black for {_BLACK:g} s",
            "Run the game in a window, not in exclusive full screen; do not watch it by remote desktop.",
        )
    grabs, wholes = list[float](), list[float]()
    seen = rig.see()
    for _ in range(SHOTS):
        began = rig.tools.now()
        seen = rig.see()
        seen.small(SIDE)
        wholes.append(rig.tools.now() - began)
        grabs.append(seen.seconds)
    height, width = seen.bgra.shape[:2]
    slow = float(np.percentile(wholes, 99))
    said = f"{width}x{height} pixels; a grab takes {_spread(grabs)}, to {SIDE}x{SIDE} {_spread(wholes)}"
    if slow > FAR_TOO_SLOW:
        return fault(said, "A step has 100 ms: make the game's window smaller, or its graphics simpler.")
    if slow > SLOW:
        return warning(said, "This is slow for steps of 100 ms: make the game's window smaller.")
    return good(said)


def _first(patient: Patient) -> tuple[Shot, FrameVerdict]:
    """The first frame that is not black, or one that is after some seconds."""
    rig, watch = patient.rig, FrameWatch()
    until = rig.tools.now() + _BLACK
    while True:
        shot = rig.shoot()
        verdict = watch.see(shot.rgb(), shot.time)
        if not verdict.black or rig.tools.now() > until:
            return shot, verdict
        rig.tools.sleep(_GLANCE)


def take_evidence(patient: Patient, shot: Shot, *, at_start: bool = False) -> None:
    """Keep a picture of the window, what of it the agent sees, and how near it is to each look."""
    profile, evidence = patient.rig.profile, patient.evidence
    pixels = shot.rgb()
    height, width = pixels.shape[:2]
    whole = Rectangle(0, 0, width, height)
    part = seen_part(whole, profile.capture)
    evidence.window, evidence.at_start = pixels, at_start
    evidence.seen = (part.left / width, part.top / height, part.width / width, part.height / height)
    cut = shot.bgra[part.top : part.top + part.height, part.left : part.left + part.width]
    evidence.agent = Shot(cut, shot.time, shot.seconds).small(SIDE)
    looks: list[LookSeen] = []
    for name, look in profile.looks.items():
        at = part_of(whole, look.region)
        shown = np.ascontiguousarray(pixels[at.top : at.top + at.height, at.left : at.left + at.width])
        picture = load_picture(profile.image(name, patient.rig.start))
        looks.append(LookSeen(name, look.region, difference(shown, picture), look.tolerance))
    evidence.looks = looks


def _spread(seconds: list[float]) -> str:
    return f"{1e3 * np.median(seconds):.1f} ms (p99 {1e3 * np.percentile(seconds, 99):.1f})"
