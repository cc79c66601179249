"""Pixels of real windows, and laws of what is done with them."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from envs.errors import CaptureError, MissingPackageError, OptionError
from envs.window.capture import Capture, DxcamGrabber, MssGrabber, Shot, grabber_of, resize
from envs.window.frames import FrameVerdict, FrameWatch, FrameWatchConfig
from envs.window.locate import Rectangle


@pytest.fixture
def capture(room: Any) -> Iterator[Capture]:
    """Capture of the present screen, which `room` set."""
    pytest.importorskip("mss", reason="mss is not installed")
    capture = Capture(grabber_of("mss"))
    yield capture
    capture.close()
    capture.close()  # may be called twice


# --- A real screen


def test_colours_and_places_are_exact(room: Any, capture: Capture):
    window = room.window("Game", (100, 50, 8, 6))
    room.fill(window, (0, 0, 8, 6), 0x102030)
    room.fill(window, (2, 1, 3, 4), 0xFF0080)
    pixels = capture.shoot(Rectangle(100, 50, 8, 6)).rgb()
    expected = np.full((6, 8, 3), (0x10, 0x20, 0x30), np.uint8)
    expected[1:5, 2:5] = (0xFF, 0x00, 0x80)
    np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_array_equal(capture.shoot(Rectangle(102, 51, 3, 4)).rgb(), expected[1:5, 2:5])
    assert (pixels.dtype, pixels.flags.owndata) == (np.uint8, True)


def test_a_shot_keeps_its_pixels_while_the_screen_changes(room: Any, capture: Capture):
    window = room.window("Game", (0, 0, 8, 8))
    room.fill(window, (0, 0, 8, 8), 0xFFFFFF)
    first = capture.shoot(Rectangle(0, 0, 8, 8))
    room.fill(window, (0, 0, 8, 8), 0x000000)
    second = capture.shoot(Rectangle(0, 0, 8, 8))
    assert (first.rgb() == 255).all()
    assert (second.rgb() == 0).all()
    assert first.new
    assert second.new


def test_the_whole_screen_can_be_read_up_to_its_last_pixel(room: Any, capture: Capture):
    room.fill(room.window("Game", (1272, 1016, 8, 8)), (7, 7, 1, 1), 0x00FF00)
    pixels = capture.shoot(Rectangle(0, 0, 1280, 1024)).rgb()
    assert pixels.shape == (1024, 1280, 3)
    assert pixels[-1, -1].tolist() == [0, 255, 0]


@pytest.mark.parametrize(
    "region", [(-1, 0, 640, 480), (0, -1, 640, 480), (641, 0, 640, 480), (0, 545, 640, 480), (2000, 2000, 5, 5)]
)
def test_a_region_partly_off_the_screen_is_refused(capture: Capture, region: tuple[int, int, int, int]):
    with pytest.raises(CaptureError, match=r"lies partly off the screen, Rectangle.*width=1280, height=1024"):
        capture.shoot(Rectangle(*region))
    assert capture.shoot(Rectangle(0, 0, 640, 480)).bgra.shape == (480, 640, 4)


@pytest.mark.parametrize("size", [(0, 480), (640, 0), (-5, 5)])
def test_a_region_of_no_size_is_refused(capture: Capture, size: tuple[int, int]):
    with pytest.raises(CaptureError, match=r"has a width and a height, got .* is it minimised"):
        capture.shoot(Rectangle(10, 10, *size))


def test_a_screen_that_went_is_said_to_be_gone(
    xvfb_server: Callable[[], tuple[str, "subprocess.Popen[bytes]"]],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    pytest.importorskip("mss", reason="mss is not installed")
    name, server = xvfb_server()
    monkeypatch.setenv("DISPLAY", name)
    capture = Capture(grabber_of("mss"))
    capture.shoot(Rectangle(0, 0, 64, 48))
    server.kill()
    server.wait()
    for region in (Rectangle(0, 0, 64, 48), Rectangle(0, 0, 64, 48), Rectangle(5000, 0, 64, 48)):
        with pytest.raises(CaptureError, match="screen"):
            capture.shoot(region)
    for _ in range(3):
        capture.close()  # mss itself would free its memory with every one
    with pytest.raises(CaptureError, match=r"there is no screen to capture: .*set DISPLAY"):
        grabber_of("mss")
    assert capfd.readouterr() == ("", "")


def test_without_mss_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "mss", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'skygarden\[window\]'"):
        MssGrabber()


# --- Shrinking


def test_shrinking_averages_over_areas():
    """3x3 to 2x2: each new pixel covers 1.5 x 1.5 old ones, so a weight of 4/9, twice 2/9 and 1/9."""
    frame = np.zeros((3, 3, 1), np.uint8)
    frame[0, 0] = 90
    frame[1, 1] = 180
    corner = 90 * 4 / 9 + 180 * 1 / 9
    other = 180 * 1 / 9
    np.testing.assert_array_equal(resize(frame, 2).reshape(2, 2), [[corner, other], [other, other]])


def test_shrinking_by_a_whole_number_is_the_mean_of_blocks():
    frame = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    blocks = frame.reshape(2, 2, 2, 3, 3).mean(axis=(1, 3))
    np.testing.assert_array_equal(resize(frame, 2), np.rint(blocks))


def test_the_small_frame_is_that_of_the_colours_at_full_size():
    bgra = np.random.default_rng(0).integers(0, 256, (480, 640, 4), np.uint8)
    shot = Shot(bgra, 0.0, 0.0)
    small = shot.small(128)
    assert (small.shape, small.dtype) == ((128, 128, 3), np.uint8)
    np.testing.assert_array_equal(small, resize(shot.rgb(), 128))
    np.testing.assert_array_equal(shot.rgb(), bgra[:, :, 2::-1])


# --- Other grabbers


class Clock:
    """Time that passes when it is slept through."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0.0
        self.now += seconds


class Scripted:
    """Gives one answer after the other, each of them 7 ms after the question."""

    def __init__(self, clock: Clock, *answers: NDArray[np.uint8] | None) -> None:
        self.clock, self.answers = clock, list(answers)
        self.closed = 0

    def grab(self, rectangle: Rectangle) -> NDArray[np.uint8] | None:
        assert not self.closed
        self.clock.now += 0.007
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def close(self) -> None:
        self.closed += 1


FRAME = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
REGION = Rectangle(5, 6, 3, 2)


def scripted(*answers: NDArray[np.uint8] | None) -> tuple[Capture, Clock, Scripted]:
    """Capture with a clock and a grabber of one's own."""
    clock = Clock()
    grabber = Scripted(clock, *answers)
    return Capture(grabber, clock, clock.sleep), clock, grabber


def test_a_shot_bears_the_time_when_its_grab_began():
    capture, _, grabber = scripted(FRAME)
    shot = capture.shoot(REGION)
    assert (shot.time, shot.seconds, shot.new) == (100.0, pytest.approx(0.007), True)
    capture.close()
    assert grabber.closed == 1


def test_nothing_new_gives_the_last_frame_marked_as_not_new():
    capture, _, _ = scripted(FRAME, None, FRAME + 1)
    shots = [capture.shoot(REGION) for _ in range(3)]
    assert [shot.new for shot in shots] == [True, False, True]
    assert [int(shot.bgra[0, 0, 0]) for shot in shots] == [0, 0, 1]
    assert [shot.time for shot in shots] == pytest.approx([100.0, 100.007, 100.014])


def test_a_first_frame_is_waited_for_and_its_time_is_that_of_its_own_grab():
    capture, _, _ = scripted(None, None, FRAME)
    shot = capture.shoot(REGION)
    assert shot.time == pytest.approx(100.0 + 2 * (0.007 + 0.005))
    assert shot.seconds == pytest.approx(0.007)
    assert shot.new


def test_a_frame_that_never_comes_is_not_waited_for_for_ever():
    capture, clock, _ = scripted(None)
    with pytest.raises(CaptureError, match="has shown no frame of"):
        capture.shoot(REGION)
    assert clock.now < 102.0


def test_the_last_frame_of_another_region_is_not_given():
    capture, _, _ = scripted(FRAME, None, FRAME + 1)
    capture.shoot(REGION)
    shot = capture.shoot(Rectangle(0, 0, 3, 2))
    assert shot.new
    assert shot.bgra[0, 0, 0] == 1


@pytest.mark.parametrize("frame", [FRAME[:, :, :3], FRAME[:1], FRAME.astype(np.float32)])
def test_a_grabber_that_gives_something_else_is_refused(frame: Any):
    capture, _, _ = scripted(frame)
    with pytest.raises(CaptureError, match=r"gives \(2, 3, 4\) uint8, BGRA; it gave"):
        capture.shoot(REGION)


class Camera:
    """dxcam's, as documented: `grab` takes (left, top, right, bottom) on the monitor, None means nothing new."""

    width, height = 1920, 1080

    def __init__(self) -> None:
        self.screen: NDArray[np.uint8] | None = np.zeros((self.height, self.width, 4), np.uint8)
        self.is_released = False

    def grab(self, region: tuple[int, int, int, int]) -> NDArray[np.uint8] | None:
        assert not self.is_released
        left, top, right, bottom = region
        if not (0 <= left < right <= self.width and 0 <= top < bottom <= self.height):
            raise ValueError(f"Invalid Region: Region should be in {self.width}x{self.height}")
        return None if self.screen is None else self.screen[top:bottom, left:right].copy()

    def release(self) -> None:
        self.is_released = True


def test_dxcam_is_asked_by_corners_and_says_when_nothing_is_new(monkeypatch: pytest.MonkeyPatch):
    camera = Camera()

    def create(*, output_color: str) -> Camera:
        assert output_color == "BGRA"
        return camera

    module = ModuleType("dxcam")
    vars(module)["create"] = create
    monkeypatch.setitem(sys.modules, "dxcam", module)
    assert camera.screen is not None
    camera.screen[50:290, 100:420] = (3, 2, 1, 0)
    capture = Capture(grabber_of("dxcam"))
    shot = capture.shoot(Rectangle(100, 50, 320, 240))
    assert (shot.rgb() == (1, 2, 3)).all()
    assert shot.new
    camera.screen = None
    assert not capture.shoot(Rectangle(100, 50, 320, 240)).new
    with pytest.raises(CaptureError, match=r"Invalid Region.*first monitor"):
        capture.shoot(Rectangle(1900, 0, 320, 240))
    capture.close()
    capture.close()
    assert camera.is_released


def test_without_dxcam_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "dxcam", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'skygarden\[dxcam\]'"):
        DxcamGrabber()


def test_a_grabber_of_ones_own_is_named_by_module_and_function(monkeypatch: pytest.MonkeyPatch):
    module = ModuleType("my_grabber")
    made = Scripted(Clock(), FRAME)
    vars(module)["make"] = lambda: made
    monkeypatch.setitem(sys.modules, "my_grabber", module)
    assert grabber_of("my_grabber:make") is made


@pytest.mark.parametrize("name", ["mms", "", "nowhere_at_all:make", "envs.errors:make", ":make", "envs:"])
def test_an_unknown_grabber_is_refused(name: str):
    with pytest.raises(OptionError, match="grabber"):
        grabber_of(name)


# --- Frames that cannot be true


def flat(value: int) -> NDArray[np.uint8]:
    """A frame of one value."""
    return np.full((4, 5, 3), value, np.uint8)


def test_equal_frames_are_duplicates_and_stale_after_a_while():
    watch = FrameWatch(FrameWatchConfig(stale_after=0.3))
    seen = [
        watch.see(flat(value), time) for value, time in ((50, 1.0), (50, 1.125), (50, 1.25), (50, 1.5), (51, 1.625))
    ]
    assert seen == [
        FrameVerdict(black=False, duplicate=False, unchanged=0.0, stale=False),
        FrameVerdict(black=False, duplicate=True, unchanged=0.125, stale=False),
        FrameVerdict(black=False, duplicate=True, unchanged=0.25, stale=False),
        FrameVerdict(black=False, duplicate=True, unchanged=0.5, stale=True),
        FrameVerdict(black=False, duplicate=False, unchanged=0.0, stale=False),
    ]


def test_one_value_of_one_pixel_makes_a_frame_new():
    watch, changed = FrameWatch(), flat(50)
    changed[3, 4, 2] = 51
    watch.see(flat(50), 0.0)
    assert not watch.see(changed, 9.0).duplicate
    assert watch.see(changed.copy(), 9.1).duplicate


def test_a_frame_of_another_size_is_new():
    watch = FrameWatch()
    watch.see(flat(50), 0.0)
    assert not watch.see(np.full((5, 4, 3), 50, np.uint8), 0.1).duplicate


def test_after_a_reset_the_first_frame_is_new():
    watch = FrameWatch()
    watch.see(flat(50), 0.0)
    watch.reset()
    assert watch.see(flat(50), 100.0) == FrameVerdict(black=False, duplicate=False, unchanged=0.0, stale=False)


def test_black_is_dark_all_over():
    """A night with one lamp is not black, nor is a grey of 3; noise of a video's black, 0 to 16, is."""
    lamp = flat(0)
    lamp[0, 0] = 17
    noise = flat(0)
    noise[0, :2] = 16  # a mean of 1.6
    frames = {"black": flat(0), "2": flat(2), "3": flat(3), "lamp": lamp, "noise": noise}
    black = {name: FrameWatch().see(frame, 0.0).black for name, frame in frames.items()}
    assert black == {"black": True, "2": True, "3": False, "lamp": False, "noise": True}
