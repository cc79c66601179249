"""A scripted designer labels through the page, in a real browser by keyboard; a reward model learns from the answers.

Prints how long the page takes, as ratios to what a person would notice: two seconds to the first question, a fifth of a
second to the next; and how the reward model ranks unseen pairs. The designer follows the paper's rule, and thinks as
long as it is told to between one answer and the next. Usage, with what `skygarden collect` made:

    python bench/label.py runs/episodes.safetensors --to left [--ask groups --answers 20] [--think 2]
"""

import sys

sys.path.append(sys.path.pop(0))  # rollout.py beside this is not the package `rollout`

import argparse
import json
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from playwright.sync_api import Page, sync_playwright

from agents.preferences import Outcome, Teacher, returns
from agents.reward import load_reward
from rollout.store import read_episodes
from skygarden.aims import aim_of
from skygarden.presets import LAPTOP
from skygarden.rewarding import Source, train_reward

FIRST, NEXT = 2.0, 0.2  # seconds that are not noticed

# When the key of an answer goes down, and when the next question can be answered, by the page's own clock.
_WATCH = """
window.waits = []; let pressed = null, asked = null;
const stage = () => document.getElementById('stage');
addEventListener('keydown', (e) => { pressed = performance.now(); asked = stage().dataset.question; }, true);
new MutationObserver(() => {
  if (pressed !== null && stage().dataset.question !== asked && stage().dataset.ready === 'true') {
    window.waits.push(performance.now() - pressed); pressed = null; stage().dataset.waits = window.waits.length;
  }
}).observe(stage(), {attributes: true});
"""


def keys(worth: Sequence[float], pairs: bool) -> list[str]:
    """What the paper's rule presses."""
    if pairs:
        return [{1: "ArrowLeft", -1: "ArrowRight", 0: "ArrowDown"}[int(np.sign(worth[0] - worth[1]))]]
    levels = np.unique(worth)  # as many points as there are levels: at most the items of a group
    return [*(str(1 + int(k)) for k in np.searchsorted(levels, worth)), "Enter"]


def label(page: Page, address: str, worth: Sequence[float], answers: int, think: float) -> tuple[float, list[float]]:
    """Answer so many questions; the seconds to the first, and from each answer to the next."""
    ready = "#work[data-busy=false] #stage[data-ready=true]"
    started = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(ready, timeout=60_000)
    first = time.perf_counter() - started
    page.evaluate(_WATCH)
    token = parse_qs(urlsplit(address).query)["token"][0]
    origin = address.partition("/?")[0]
    for done in range(answers):
        request = urllib.request.Request(f"{origin}/api/session", headers={"authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request) as response:
            session: Any = json.load(response)
        shown = [trajectory["id"] for trajectory in session["question"]["trajectories"]]
        time.sleep(think)
        for key in keys([worth[k] for k in shown], len(shown) == 2):
            page.keyboard.press(key)
        page.wait_for_selector(f"#work[data-busy=false] #stage[data-waits='{done + 1}']", timeout=60_000)
    return first, [wait / 1000 for wait in page.evaluate("window.waits")]


def main() -> None:
    """Label and learn, and print what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("episodes", type=Path)
    parser.add_argument("--to", default="left", choices=["left", "middle", "right"])
    parser.add_argument("--ask", default="pairs", choices=["pairs", "groups"])
    parser.add_argument("--choose", default="random", choices=["random", "disagreement"])
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--think", type=float, default=2.0, help="seconds")
    parser.add_argument("--keep", type=Path, help="folder to keep the answers in")
    args = parser.parse_args()
    played, _ = read_episodes(args.episodes)
    worth = returns([Outcome(e.jumppad, len(e)) for e in played], args.to).tolist()
    with tempfile.TemporaryDirectory() as temporary:
        folder: Path = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "skygarden", "label", str(args.episodes), "--no-browser", "--port", "0"]
        options = ["--answers", str(folder / "answers.sqlite"), "--ask", args.ask, "--choose", args.choose]
        options += ["--labeller", "rule"]
        server = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
        try:
            found = None
            while not found:
                found = re.search(r"http://\S+", server.stdout.readline() if server.stdout else "")
            with sync_playwright() as playwright:
                chromium = playwright.chromium.launch(
                    executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
                )
                first, waits = label(chromium.new_page(), found.group(), worth, args.answers, args.think)
                chromium.close()
        finally:
            server.send_signal(signal.SIGINT)
            server.wait()
        kind = f"{args.ask}, {args.choose}"
        print(f"{len(played)} trajectories, {args.answers} answers ({kind}), {args.think} s of thought each")
        print(f"first question after {first:.2f} s: {first / FIRST:.2f} of {FIRST} s")
        for name, wait in (("median", statistics.median(waits)), ("longest", max(waits))):
            print(f"next question after {wait * 1000:.0f} ms ({name}): {wait / NEXT:.2f} of {NEXT} s")
        source = Source(args.episodes, folder / "answers.sqlite")
        train_reward(LAPTOP.reward, [source], aim_of(args.to), folder, Teacher())
        print(f"unseen pairs ranked as the rule does: {load_reward(folder / 'reward.safetensors').accuracy:.1%}")


if __name__ == "__main__":
    main()
