"""Laws of the doctor's page: one file, nothing outside it, and all that was found, worst first."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from envs.window import doctor as examination
from envs.window.doctor import Doctor
from skygarden import cli
from skygarden.doctor import doctor
from skygarden.doctor_page import page
from tests.envs.window.fake_game import World, write_profile


def page_of(world: World, folder: Path) -> str:
    examiner = Doctor(write_profile(folder), world.tools(), world.system())
    findings = list(examiner.examine())
    return page("<game>.toml", examiner.profile, findings, examiner.evidence)


def test_nothing_in_it_lies_elsewhere_and_names_are_text(tmp_path: Path):
    text = page_of(World(), tmp_path)
    sources = re.findall(r'src="([^"]*)"', text)
    assert len(sources) == 3  # the window, what the agent sees, one step
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?:|url\(|@import|<script|<link", text)
    assert "&lt;game&gt;.toml" in text
    assert "<game>" not in text


def test_the_verdict_comes_first_and_then_what_to_do(tmp_path: Path):
    world = World()
    world.starts = False
    text = page_of(world, tmp_path)
    order = ["1 fault to mend", "What to do", "never came though START", "Every check", "The way to the start"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert text.index('class="do fault"') < text.index('class="do warning"')
    assert "not seen" in text


def test_each_look_is_outlined_with_its_difference_and_tolerance(tmp_path: Path):
    text = page_of(World(), tmp_path)
    place = "left:0.000%;top:0.000%;width:10.000%;height:13.333%"
    box = f'<div class="box good" style="{place}"><span>playing 0.0 / 12</span>'
    assert box in text


def test_a_fault_is_exit_status_1_and_the_page_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    out = tmp_path / "deep" / "doctor.html"
    monkeypatch.setattr("sys.argv", ["skygarden", "doctor", str(tmp_path / "none.toml"), "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert "there is no profile" in out.read_text(encoding="utf-8")


def test_a_game_that_is_well_is_exit_status_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    world = World()
    monkeypatch.setattr(examination, "Tools", world.tools)
    monkeypatch.setattr(examination, "System", world.system)
    console = Console(width=120, record=True)
    assert doctor(str(write_profile(tmp_path)), tmp_path / "doctor.html", console)
    said = console.export_text()
    assert "the camera turns while the stick is pushed" in said
    assert "It works, with 1 warning." in said


def test_it_is_a_page_that_a_browser_shows(tmp_path: Path):
    api: Any = pytest.importorskip("playwright.sync_api")
    path = tmp_path / "doctor.html"
    path.write_text(page_of(World(), tmp_path), encoding="utf-8")
    with api.sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("google-chrome") or playwright.chromium.executable_path
        if not Path(found).exists():
            if os.environ.get("CI"):
                pytest.fail("no Chromium: install it (Debian: apt install chromium)")
            pytest.skip("no Chromium")
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        shown = browser.new_page(viewport={"width": 390, "height": 800})
        asked: list[str] = []
        shown.on("request", lambda request: asked.append(request.url))
        shown.goto(path.as_uri())
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        images = shown.eval_on_selector_all("img", "all => all.map(i => i.naturalWidth)")
        assert images == [320, 512, 320]
        assert shown.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()
