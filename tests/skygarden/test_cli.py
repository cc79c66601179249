"""The commands, as a user types them."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from envs.standin.gameplay import record_match
from envs.standin.replay import Replay
from skygarden import cli
from skygarden.video import write_video


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["skygarden", *arguments])
    cli.main()


def frames_of(video: Path) -> list[np.ndarray]:
    with av.open(str(video)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_gameplay_is_recorded_and_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "gameplay", "--hours", "0.08", "--out", str(tmp_path), "--processes", "1")
    replay = tmp_path / "match-000000.npz"
    run(monkeypatch, "watch", str(replay), "--out", str(tmp_path / "v.mp4"), "--start", "10", "--length", "25")
    frames = frames_of(tmp_path / "v.mp4")
    assert len(frames) == 25
    assert frames[0].shape == (512, 512, 3)


def test_the_demo_leaves_something_to_look_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "world", "--out", str(tmp_path), "--players", "16")
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    for name in ("players.mp4", "routes.png", "experts.png", "contact-sheet.png"):
        assert f'src="{name}"' in page
        assert (tmp_path / name).stat().st_size > 10_000
    assert len(frames_of(tmp_path / "players.mp4")) == 110


def test_a_person_plays_and_the_play_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    import pygame

    script = [(3, pygame.KEYDOWN, pygame.K_w), (8, pygame.KEYDOWN, pygame.K_r), (12, pygame.KEYDOWN, pygame.K_ESCAPE)]
    reads = iter(range(100))

    def events() -> list[pygame.event.Event]:
        now = next(reads)
        return [pygame.event.Event(kind, key=key) for at, kind, key in script if at == now]

    monkeypatch.setattr(pygame.event, "get", events)
    record = tmp_path / "kept" / "play.npz"
    run(monkeypatch, "play", "--character", "monk", "--record", str(record), "--size", "64")
    replay = Replay.load(record)
    assert replay.player == "person"
    assert replay.actions[:, 13].tolist() == [5] * 3 + [10] * 10  # W from the fourth step on
    assert replay.lives[:, 0].tolist() == [0, 9]


def test_the_game_is_opened_as_asked_for_and_ended_from_its_menu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    import pygame

    script = {2: pygame.K_d, 4: pygame.K_RETURN, 6: pygame.K_ESCAPE, 8: pygame.K_ESCAPE}
    reads = itertools.count()
    sizes: list[tuple[int, int]] = []

    def events() -> list[pygame.event.Event]:
        now = next(reads)
        surface = pygame.display.get_surface()
        assert surface is not None
        sizes.append(surface.get_size())
        return [pygame.event.Event(pygame.KEYDOWN, key=script[now])] if now in script else []

    monkeypatch.setattr(pygame.event, "get", events)
    log = tmp_path / "new" / "log.jsonl"
    run(monkeypatch, "game", "--size", "160", "120", "--seed", "1", "--log", str(log))
    told = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [event["event"] for event in told] == ["menu", "began", "menu", "ended"]
    assert told[1]["character"] == "brute"
    assert set(sizes) == {(160, 120)}


def test_a_window_too_small_to_play_in_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, "game", "--size", "640", "40")
    assert "at least 64 pixels a side, got --size 640 40" in capsys.readouterr().err


def test_an_error_that_a_user_can_mend_is_one_line() -> None:
    command = [sys.executable, "-m", "skygarden", "watch", "nowhere.npz"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "skygarden: there is no replay nowhere.npz\n"


@pytest.mark.parametrize("window", [("--start", "9999"), ("--length", "0"), ("--start", "2990", "--length", "20")])
def test_steps_that_a_replay_does_not_have_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], window: tuple[str, ...]
) -> None:
    record_match(seed=0, index=0).save(tmp_path / "m.npz")
    with pytest.raises(SystemExit):
        run(monkeypatch, "watch", str(tmp_path / "m.npz"), "--out", str(tmp_path / "v.mp4"), *window)
    assert "are not all in a replay of 3000 steps" in capsys.readouterr().err
    assert not (tmp_path / "v.mp4").exists()


def test_a_demo_of_too_few_players_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, "world", "--out", str(tmp_path), "--players", "3")
    assert "the video shows 16 players, got --players 3" in capsys.readouterr().err


def test_an_unknown_character_is_refused_with_the_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, "play", "--character", "plumber")
    assert "choose a character of ninja, brute" in capsys.readouterr().err


def test_a_video_without_frames_is_refused_and_leaves_nothing_under_its_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no frames"):
        write_video(tmp_path / "v.mp4", [])
    assert not (tmp_path / "v.mp4").exists()
