"""Laws of an alignment's report: one file, nothing outside it, and the numbers that were measured."""

import base64
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch

from agents.reward import RewardArtefact, RewardModel, save_reward
from envs.backend import Start
from envs.episode import Ending, Episode
from skygarden.aims import aim_of
from skygarden.evaluate import summarise
from skygarden.playing import Rollouts
from skygarden.report import Stage, write_report

VOID: Final = {"meta", "img"}  # tags that the report uses and that have no end
TITLES: Final = ("base", "<i>tuned</i> & co", "aligned")
LEFT: Final = (1, 2, 7)  # of 8 episodes, those that reach the left pad
STAGES: Final = (Stage("sft", 59.9), Stage("a<b", 60.0), Stage("online", 3605.2))


class Page(HTMLParser):
    """What a page holds.

    Raises: AssertionError: a tag is closed that is not open.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)

    def sources(self, kind: str) -> list[bytes]:
        """What is embedded in tags of a kind."""
        values = [attributes["src"] or "" for tag, attributes in self.tags if tag == kind]
        return [base64.b64decode(value.split(",", 1)[1], validate=True) for value in values]


def episode(pad: str | None) -> Episode:
    """One of which only the outcome matters."""
    steps = 60 if pad else 100
    return Episode(
        seed=0,
        start=Start(0, "ninja", 0),
        actions=np.zeros((steps, 16), np.uint8),
        log_probs=np.zeros(steps, np.float32),
        embeddings=np.zeros((steps, 0), np.float16),
        features=np.zeros((steps, 0), np.float16),
        positions=np.zeros((steps + 1, 3), np.float32),
        ending=Ending.TERMINATED if pad else Ending.TRUNCATED,
        jumppad=pad,
    )


def evaluation(folder: Path, left: int) -> Path:
    """The folder of an evaluation of 8 episodes; its pictures are a few bytes that name it."""
    folder.mkdir(parents=True)
    episodes = [episode("left") for _ in range(left)] + [episode(None) for _ in range(8 - left)]
    results = summarise(episodes, Rollouts(policy="random", episodes=8), aim_of("left"))
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    for name in ("heat.png", "trajectories.png", "pads.png", "episode-00-left.mp4", "episode-01-none.mp4"):
        (folder / name).write_bytes(f"{folder.name} {name}".encode())
    return folder


def line(update: int) -> dict[str, Any]:
    """What an update of an online run reports, as far as it is drawn."""
    return {"update": update, "episodes": 16, "score": 0.5, "success": 0.25, "kl": 0.01, "entropy": 12.0}


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Any]:
    """All that a report is made of, but where it goes."""
    run = tmp_path / "run"
    about = {"comparisons": 28, "trajectories": 8}
    model = RewardModel(4, torch.Generator().manual_seed(0))
    save_reward(RewardArtefact(model, "embeddings", "a" * 64, 0.875, about), run / "reward" / "reward.safetensors")
    (run / "online").mkdir()
    lines = "".join(f"{json.dumps(line(update))}\n" for update in (1, 2, 3))
    (run / "online" / "metrics.jsonl").write_text(f'{lines}{{"upda', encoding="utf-8")
    return {
        "wanted": "left pad",
        "evaluations": {
            title: evaluation(run / "evaluation" / str(k), left)
            for k, (title, left) in enumerate(zip(TITLES, LEFT, strict=True))
        },
        "reward": run / "reward",
        "online": run / "online",
        "stages": STAGES,
        "settings": {"to": "left", "out": Path("runs/a"), "note": "</pre><script>alert(1)</script>"},
    }


@pytest.fixture
def text(inputs: dict[str, Any], tmp_path: Path) -> str:
    """A report, as it was written."""
    path = tmp_path / "report" / "report.html"
    path.parent.mkdir()
    write_report(path, **inputs)
    assert {beside.name for beside in path.parent.iterdir()} == {"report.html", "pictures"}
    return path.read_text(encoding="utf-8")


def test_every_tag_is_closed_where_it_should_be(text: str) -> None:
    assert text.startswith("<!doctype html>\n")
    page = Page(text)
    assert page.open == []
    assert {"html", "title", "h1", "table", "img", "video", "details"} <= {tag for tag, _ in page.tags}


def test_nothing_in_it_lies_elsewhere(text: str) -> None:
    page = Page(text)
    sources = [attributes["src"] or "" for _, attributes in page.tags if "src" in attributes]
    assert len(sources) == 2 + 2 * 3 + 2 * 3  # two charts; of each evaluation two pictures and two videos
    assert all(re.match(r"data:(image/png|video/mp4);base64,[A-Za-z0-9+/]+=*$", source) for source in sources)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "base"}
    names = {name for _, attributes in page.tags for name in attributes}
    assert not names & {"href", "srcset", "poster", "background", "action"}
    assert not re.search(r"https?:|url\(|@import", text)


def test_the_pictures_and_videos_of_every_evaluation_are_in_it_in_order(text: str) -> None:
    page = Page(text)
    pads, online, *others = page.sources("img")
    assert pads[:4] == online[:4] == b"\x89PNG"
    heat, routes = ([f"{k} {name}.png".encode() for k in range(3)] for name in ("heat", "trajectories"))
    assert others == heat + routes
    videos = [f"{k} episode-{name}.mp4".encode() for k in range(3) for name in ("00-left", "01-none")]
    assert page.sources("video") == videos


def test_the_curve_is_in_it_where_there_is_one(inputs: dict[str, Any], tmp_path: Path) -> None:
    (inputs["reward"] / "curve.png").write_bytes(b"the curve")
    write_report(tmp_path / "report.html", **inputs)
    assert Page((tmp_path / "report.html").read_text(encoding="utf-8")).sources("img")[1] == b"the curve"


def test_it_says_how_often_the_aligned_agent_reaches_the_wanted_pad(text: str) -> None:
    said = " ".join("".join(Page(text).text).split())
    # 7 of 8 with Wilson's interval: (7 + z^2 / 2) / (8 + z^2) +- z sqrt(7 / 8 + z^2 / 4) / (8 + z^2), z^2 = 3.8415.
    expected = "shows what was wanted in 87.5% of 8 episodes (95% interval 52.9% to 97.8%), after 48 episodes online"
    assert expected in said
    assert "28 comparisons of 8 episodes. It ranks 87.5% of pairs" in said


def test_the_table_has_every_agent_and_marks_the_wanted_pad(text: str) -> None:
    rows = re.findall(r"<tr>(.*?)</tr>", text)[:4]
    cells = [re.findall(r"<t[dh](?: class=(\w+))?>(.*?)</t[dh]>", row) for row in rows]
    shown = [[html.unescape(value) for _, value in row] for row in cells]
    assert shown == [
        ["agent", "left", "middle", "right", "none", "episodes"],
        ["base", "12.5%", "0.0%", "0.0%", "87.5%", "8"],
        ["<i>tuned</i> & co", "25.0%", "0.0%", "0.0%", "75.0%", "8"],
        ["aligned", "87.5%", "0.0%", "0.0%", "12.5%", "8"],
    ]
    assert [[k for k, (mark, _) in enumerate(row) if mark == "wanted"] for row in cells] == [[], [1], [1], [1]]


def test_titles_stages_and_settings_are_text_and_no_tags(text: str) -> None:
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {"i", "script", "a<b"}
    assert text.count("&lt;i&gt;tuned&lt;/i&gt; &amp; co") == 2 + 2 * 2  # table and heading; two pictures, named twice
    captions = [attributes["alt"] for tag, attributes in page.tags if tag == "img"]
    assert captions.count("<i>tuned</i> & co") == 2
    said = "".join(page.text)
    assert '"note": "</pre><script>alert(1)</script>"' in said
    assert '"out": "runs/a"' in said


def test_times_are_told_by_stage_and_together(text: str) -> None:
    page = Page(text)
    start = page.text.index("Times")
    cells = [part for part in page.text[start + 1 :] if part.strip()][:8]
    assert cells == ["sft", "0:59 min", "a<b", "1:00 min", "online", "60:05 min", "together", "62:05 min"]


def test_a_report_takes_the_place_of_the_one_before_it(inputs: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("of the one before", encoding="utf-8")
    write_report(path, **inputs)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert not list(tmp_path.glob("*.part"))


def test_a_report_without_an_evaluation_that_should_be_there_is_not_written(
    inputs: dict[str, Any], tmp_path: Path
) -> None:
    (inputs["evaluations"]["aligned"] / "heat.png").unlink()
    with pytest.raises(FileNotFoundError):
        write_report(tmp_path / "report.html", **inputs)
    assert not (tmp_path / "report.html").exists()
