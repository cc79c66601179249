"""How long it takes from the screen to the frame an agent sees, against the straightforward way.

The straightforward way is mss's grab, np.array of it, the colours turned at full size, and the same shrinking. Both
take turns, one frame each, with pauses in between as a game would make them. On the present display, or on an Xvfb of
its own where DISPLAY is not set. A ratio is the median of the turns' ratios. Usage:

    python bench/capture.py [--turns 300] [--pause 0.02]
"""

import argparse
import os
import select
import statistics
import subprocess
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

import cv2
import mss
import numpy as np

from envs.errors import CaptureError
from envs.window.capture import Capture, grabber_of
from envs.window.locate import Rectangle

SIDE = 128
SIZES = ((640, 480), (1280, 720), (1920, 1080))


@contextmanager
def display() -> Generator[None, None, None]:
    """A display of 1920x1080 that only memory shows, as the present one."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1920x1080x24", "-nolisten", "tcp", "-noreset"]
    server = subprocess.Popen(command, pass_fds=(writing,), stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        if not select.select([reading], [], [], 30.0)[0]:
            raise SystemExit("Xvfb named no display within 30 s")
        os.environ["DISPLAY"] = ":" + os.read(reading, 64).decode().strip()
        yield
    finally:
        os.close(reading)
        server.terminate()
        server.wait(10.0)


def measure(width: int, height: int, turns: int, pause: float) -> list[tuple[float, float, float]]:
    """Seconds of each turn: our grab, our shrinking and turning of colours, and the straightforward way's all."""
    place = {"left": 0, "top": 0, "width": width, "height": height}
    times: list[tuple[float, float, float]] = []
    with ExitStack() as stack:
        plain = stack.enter_context(mss.MSS())
        capture = Capture(grabber_of("mss"))
        stack.callback(capture.close)
        for _ in range(turns + 10):
            start = time.perf_counter()
            shot = capture.shoot(Rectangle(0, 0, width, height))
            grabbed = time.perf_counter()
            shot.small(SIDE)
            done = time.perf_counter()
            frame = cv2.cvtColor(np.array(plain.grab(place)), cv2.COLOR_BGRA2RGB)
            cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            times.append((grabbed - start, done - grabbed, time.perf_counter() - done))
            time.sleep(pause)
    return times[10:]  # the first ones open what stays open


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=300, help="frames at each size")
    parser.add_argument("--pause", type=float, default=0.02, help="seconds between two turns")
    options = parser.parse_args()
    with ExitStack() as stack:
        if not os.environ.get("DISPLAY"):
            stack.enter_context(display())
        print(f"{'':12}{'grab':>16}{'shrink + colours':>20}{'both':>16}{'straightforward':>18}{'ratio':>8}")
        print(f"{'':12}{'p50 / p99 ms':>16}{'p50 / p99 ms':>20}{'p50 / p99 ms':>16}{'p50 / p99 ms':>18}{'':>8}")
        for width, height in SIZES:
            name = f"{width}x{height}"
            try:
                times = np.array(measure(width, height, options.turns, options.pause))
            except CaptureError as error:
                print(f"{name:12}{error}")
                continue
            grab, shrink, straight = times.T * 1e3
            columns = [grab, shrink, grab + shrink, straight]
            cells = [f"{np.percentile(c, 50):.2f} / {np.percentile(c, 99):.2f}" for c in columns]
            ratio = statistics.median(straight / (grab + shrink))
            print(f"{name:12}{cells[0]:>16}{cells[1]:>20}{cells[2]:>16}{cells[3]:>18}{ratio:>8.2f}")


if __name__ == "__main__":
    main()
