"""Launches told from pixels: what is enough for one, what is kept and forgotten, and that a few runs teach it."""

import json
import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from envs.errors import DataError, DetectorError, OptionError
from envs.window.jumppad import EVIDENCE_SIDE, JumpPadConfig, JumpPadDetector, Pixels, detect_in, evidence_of
from envs.window.jumppad_learning import LearningConfig, PadRun, learn
from envs.window.jumppad_network import FILTERS, SIZE, Network, Training
from skygarden.pad_runs import SHIPPED, SIDE, draw_run, play_run, to_pad_run

NAMES = ("attic", "cellar")
PLAIN = JumpPadConfig(side=10, ages=(0,), debounce=2, threshold=0.9, certain=None)
GREY, RED, BLUE, FAINT = (
    np.full((20, 30, 3), c, np.uint8) for c in ((90, 90, 90), (255, 0, 0), (0, 0, 255), (170, 90, 90))
)


def colour_network(gain: float = 40.0) -> Network:
    """Tells redness as the first pad and blueness as the second: worked by hand, for pictures of one colour.

    Filter 0 of the first layer is (red - blue) of one pixel and filter 1 its opposite; the second layer passes them on,
    and an answer is gain times its filter at the one place that is left, against a score of gain / 2 for none.
    """
    area = SIZE * SIZE
    first, second = np.zeros((3 * area, FILTERS[0]), np.float32), np.zeros((FILTERS[0] * area, FILTERS[1]), np.float32)
    first[0, 0] = first[2 * area, 1] = 1.0
    first[2 * area, 0] = first[0, 1] = -1.0
    second[0, 0] = second[area, 1] = 1.0
    last = np.zeros((FILTERS[1], 3), np.float32)
    last[0, 1] = last[1, 2] = gain
    biases = [np.zeros(n, np.float32) for n in FILTERS]
    return Network(first, biases[0], second, biases[1], last, np.array([gain / 2, 0, 0], np.float32))


def colours(**changes: object) -> JumpPadDetector:
    """Red is the attic, blue the cellar; grey is neither."""
    return JumpPadDetector(NAMES, [colour_network()], replace(PLAIN, **changes))


def reports(detector: JumpPadDetector, frames: list[Pixels]) -> list[str | None]:
    found = [detector.update(pixels) for pixels in frames]
    return [None if one is None else one.pad for one in found]


def test_a_launch_is_reported_in_the_second_frame_running_that_shows_it_and_once():
    assert reports(colours(), [GREY, RED, RED, RED, BLUE, BLUE]) == [None, None, "attic", None, None, None]


def test_one_frame_of_a_launch_and_frames_of_two_pads_in_turn_are_none():
    assert reports(colours(), [RED, GREY, RED, BLUE, RED, BLUE, GREY]) == [None] * 7


def test_three_frames_are_asked_for_where_the_debounce_is_three_and_one_where_it_is_one():
    assert reports(colours(debounce=3), [BLUE, BLUE, GREY, BLUE, BLUE, BLUE]) == [*[None] * 5, "cellar"]
    assert reports(colours(debounce=1), [GREY, BLUE]) == [None, "cellar"]


def test_one_frame_is_enough_where_it_is_beyond_doubt():
    """Red is 1 more than blue, against 1/2: 1 / (1 + e^-20) of chance; faint red is 0.31 more, and none is likelier."""
    assert reports(colours(certain=0.998), [GREY, FAINT, RED]) == [None, None, "attic"]


def test_a_detection_says_when_it_was_first_seen_how_sure_it_is_and_on_what_evidence():
    found = detect_in(colours(), [GREY, GREY, BLUE, BLUE])
    assert found is not None
    assert (found.pad, found.frame) == ("cellar", 2)
    assert 0.99 < found.confidence <= 1.0
    assert [picture.shape for picture in found.evidence] == [(EVIDENCE_SIDE, EVIDENCE_SIDE, 3)] * 2
    assert np.array_equal(found.evidence[-1], evidence_of(BLUE))


def test_a_reset_forgets_frames_and_reports():
    detector = colours()
    assert reports(detector, [RED]) == [None]
    detector.reset()
    assert reports(detector, [RED]) == [None]
    assert reports(detector, [RED]) == ["attic"]
    found = detect_in(detector, [RED, RED])
    assert found is not None
    assert found.frame == 0
    assert len(found.evidence) == 2


def test_before_there_are_frames_enough_the_first_stands_for_those_before_it():
    first = detect_in(random_detector(certain=None, threshold=0.01, debounce=1), [RED])
    later = detect_in(random_detector(certain=None, threshold=0.01, debounce=5), [RED] * 5)
    assert first is not None
    assert later is not None
    assert first.confidence == pytest.approx(later.confidence)


def random_detector(**changes: object) -> JumpPadDetector:
    config = replace(JumpPadConfig(), **changes)
    draws = [Network.draw(config.side, 3 * len(config.ages), 3, np.random.default_rng(k)) for k in range(2)]
    return JumpPadDetector(NAMES, draws, config, {"runs": {"attic": 3}})


def test_a_saved_detector_is_the_same_detector(tmp_path: Path):
    detector = random_detector(threshold=0.01, certain=None)
    detector.save(tmp_path / "new" / "pads.npz")
    again = JumpPadDetector.load(tmp_path / "new" / "pads.npz")
    assert (again.names, again.config, again.about) == (NAMES, detector.config, {"runs": {"attic": 3}})
    frames = [np.random.default_rng(k).integers(0, 256, (40, 40, 3), np.uint8) for k in range(4)]
    one, other = detect_in(detector, frames), detect_in(again, frames)
    assert one is not None
    assert other is not None
    assert (one.pad, one.confidence, one.frame) == (other.pad, other.confidence, other.frame)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["pads.npz"]
    assert (tmp_path / "new" / "pads.npz").stat().st_size < 1_000_000


def test_a_profile_may_ask_for_another_debounce_and_threshold(tmp_path: Path):
    colours().save(tmp_path / "pads.npz")
    assert JumpPadDetector.load(tmp_path / "pads.npz", debounce=3, threshold=0.6).config == replace(
        PLAIN, debounce=3, threshold=0.6
    )
    with pytest.raises(OptionError, match="debounce"):
        JumpPadDetector.load(tmp_path / "pads.npz", debounce=0)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def flip_bytes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


def other_version(path: Path) -> None:
    rewrite(path, version=np.array(99))


def other_network(path: Path) -> None:
    rewrite(path, first=np.zeros((1, 5, 5), np.float32))


def broken_header(path: Path) -> None:
    rewrite(path, header=np.array(json.dumps({"names": ["attic"]})))


def rewrite(path: Path, **changes: np.ndarray) -> None:
    with np.load(path) as stored:
        content = {name: stored[name] for name in stored.files} | changes
    np.savez(path, allow_pickle=False, **content)


@pytest.mark.parametrize("damage", [Path.unlink, cut_short, flip_bytes, other_version, other_network, broken_header])
def test_a_file_that_is_missing_damaged_or_foreign_is_refused_by_name(tmp_path: Path, damage: Callable[[Path], None]):
    path = tmp_path / "pads.npz"
    random_detector().save(path)
    damage(path)
    with pytest.raises(DetectorError, match=re.escape(str(path))):
        JumpPadDetector.load(path)


def test_networks_of_another_size_are_refused():
    with pytest.raises(DetectorError, match="attic"):
        JumpPadDetector(("attic",), [colour_network()], PLAIN)


@pytest.mark.parametrize("frame", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_what_is_no_picture_is_refused(frame: np.ndarray):
    with pytest.raises(DetectorError, match=r"\(height, width, 3\) uint8"):
        colours().update(frame)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("debounce", 0), ("threshold", 1.0), ("certain", 0.5), ("side", 4), ("ages", (1, 2)), ("ages", (0, 2, 1))],
)
def test_settings_out_of_range_are_refused(setting: str, value: object):
    with pytest.raises(OptionError, match=setting):
        replace(JumpPadConfig(), **{setting: value})


def test_the_networks_slope_is_that_of_its_loss():
    """Against differences of the loss itself, a number of each part at a time."""
    rng = np.random.default_rng(0)
    network = Network.draw(10, 3, 3, rng)
    pictures, truth = rng.uniform(-0.5, 0.5, (4, 10, 10, 3)).astype(np.float32), np.array([0, 1, 2, 1])

    def loss() -> float:
        return float(-np.log(network.chances(pictures)[np.arange(4), truth]).mean())

    before = loss()
    for _ in range(30):
        Training(network, 0.0).step(pictures, truth, 1e-3)
    assert loss() < before - 0.1
    for field in fields(Network):
        part = getattr(network, field.name).reshape(-1)
        k = part.size // 2
        kept, low_high = part[k], []
        for step in (-1e-2, 1e-2):
            part[k] = kept + step
            low_high.append(loss())
        part[k] = kept
        slope = low_high[1] - low_high[0]
        stepped = Training(network, 0.0)
        stepped.step(pictures, truth, 1e-6)  # Adam's first step goes against the sign of each number's slope
        if abs(slope) > 1e-5:
            assert np.sign(part[k] - kept) == -np.sign(slope), field.name


def painted_run(rng: np.random.Generator, pad: str | None) -> PadRun:
    """Noise in grey, and from frame 12 on in the pad's colour."""
    frames = rng.integers(60, 120, (18, 32, 32, 3), np.uint8)
    if pad is None:
        return PadRun(frames)
    frames[12:, :, :, 0 if pad == "attic" else 2] += 130
    return PadRun(frames, pad, 12)


def test_pads_of_any_names_are_learnt_from_a_few_runs():
    rng = np.random.default_rng(0)
    learning = LearningConfig(networks=1, batches=60)
    config = JumpPadConfig(side=12, ages=(0, 1))
    runs = [painted_run(rng, pad) for pad in ("cellar", "attic", None) for _ in range(4)]
    detector = learn(runs, rng, config, learning)
    assert detector.names == ("attic", "cellar")
    assert detector.about["runs"] == {"attic": 4, "cellar": 4, "none": 4}
    for pad in ("attic", "cellar"):
        found = detect_in(detector, painted_run(rng, pad).frames)
        assert found is not None
        assert found.pad == pad
        assert 12 <= found.frame <= 14
    assert detect_in(detector, painted_run(rng, None).frames) is None


def test_the_same_runs_and_seed_teach_the_same():
    def chances() -> float:
        rng = np.random.default_rng(3)
        runs = [painted_run(rng, pad) for pad in ("attic", None) for _ in range(3)]
        config = JumpPadConfig(side=12, ages=(0,), threshold=0.01, certain=None)
        found = detect_in(learn(runs, rng, config, LearningConfig(networks=1, batches=5)), runs[0].frames)
        assert found is not None
        return found.confidence

    assert chances() == chances()


def test_too_few_runs_are_refused_with_what_came():
    rng = np.random.default_rng(0)
    runs = [painted_run(rng, pad) for pad in ("attic", "attic", "attic", "cellar", None, None, None)]
    with pytest.raises(DataError, match="1 to 'cellar'"):
        learn(runs, rng)
    with pytest.raises(DataError, match="0 without a launch"):
        learn(runs[:3], rng)
    with pytest.raises(DataError, match="3 without a launch"):
        learn(runs[4:], rng)


@pytest.mark.parametrize(
    ("shape", "pad", "reached"),
    [((5, 4, 4), None, None), ((0, 4, 4, 3), None, None), ((5, 4, 4, 3), "attic", None), ((5, 4, 4, 3), None, 2),
     ((5, 4, 4, 3), "attic", 5), ((5, 4, 4, 3), "attic", 0)],
)  # fmt: skip
def test_a_run_whose_parts_do_not_fit_is_refused(shape: tuple[int, ...], pad: str | None, reached: int | None):
    with pytest.raises(DataError):
        PadRun(np.zeros(shape, np.uint8), pad, reached)


def test_a_played_run_is_the_same_again_and_its_frames_show_the_launch():
    run = play_run(5, 0, "middle")
    again = play_run(5, 0, "middle")
    assert np.array_equal(run.states, again.states)
    assert run.pad == "middle"
    assert run.reached is not None
    recorded = to_pad_run(run)
    assert (recorded.pad, recorded.reached, len(recorded.frames)) == ("middle", run.reached, len(run.states))
    assert len(run.states) - run.reached in {6, 7}  # one more where frames lag so that they show a launch a step later
    height = run.states["z"]
    assert height[run.reached + 2] > height[run.reached - 1] + 3  # metres; a launch goes up at 20 m/s
    assert np.abs(recorded.frames[run.reached + 2].astype(int) - recorded.frames[run.reached - 1]).mean() > 10


@pytest.mark.slow
def test_the_detector_that_ships_tells_the_stand_ins_launches():
    detector = JumpPadDetector.load(SHIPPED)
    wrong = 0
    for index in range(24):
        run = play_run(77, index, ("left", "middle", "right", None)[index % 4])
        detector.reset()
        when = [(k, found.pad) for k, f in enumerate(draw_run(run, SIDE)) if (found := detector.update(f)) is not None]
        if run.reached is None:
            wrong += when != []
        else:
            wrong += len(when) != 1 or when[0][1] != run.pad or abs(when[0][0] - run.reached) > 2
    assert wrong <= 1
