"""Laws of replays as sequences, and of the trajectories that are picked out of them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from agents.data import Kept
from envs.errors import DataError, ReplayError
from envs.standin.characters import NAMES
from envs.standin.gameplay import match_path, record_match
from envs.standin.physics import BODY
from envs.standin.replay import DIRECT, FIELDS, Replay, ReplayReader, Sight
from rollout.replays import ReplaySequences, Span, curate, load_replays, whole

Window = tuple[int, int, int]  # of which sequence, from where, how long


@pytest.fixture(scope="module")
def strangers() -> list[Replay]:
    """Two matches of other characters than the ninja, each in a world of its own dressing."""
    return [record_match(seed=7, index=3, character="brute"), record_match(7, 1, "monk", dressing=1)]


def made_up(*lives: tuple[int, int, int], character: str = "ninja") -> Replay:
    """A replay that nobody played; a life is the step it begins at, the step it reaches a pad at, and the pad."""
    begins = np.array([(begin, 0) for begin, _, _ in lives], np.int32)
    pads = np.array([(at, pad) for _, at, pad in lives], np.int32)
    return Replay(
        np.zeros((500, 16), np.uint8), begins, pads, np.zeros((10, FIELDS)), 0, NAMES.index(character), 0, "nobody", 0
    )


def places(spans: list[Span]) -> list[tuple[int, int]]:
    """The first step and the length of each."""
    return [(span.start, span.length) for span in spans]


# Sequences


@pytest.mark.parametrize("room", [3300, 100, 0])  # for the states of all sequences, of one of the short ones, of none
@pytest.mark.parametrize("sight", [DIRECT, Sight(late=2), Sight(drawn=200)])
def test_what_is_read_is_what_a_reader_shows_at_that_place(strangers: list[Replay], room: int, sight: Sight) -> None:
    first, second = strangers
    spans = [Span(first, 0, 3000, sight), Span(first, 1037, 80, sight), Span(second, 200, 64, sight)]
    sequences = ReplaySequences(spans, room * BODY.itemsize)
    windows: dict[Window, tuple[Replay, int]] = {
        (0, 0, 32): (first, 0),
        (0, 2968, 32): (first, 2968),
        (1, 0, 32): (first, 1037),
        (1, 48, 32): (first, 1085),
        (2, 63, 1): (second, 263),
        (1, 5, 3): (first, 1042),  # a span that was read before
    }
    for window, (replay, place) in windows.items():
        frames, actions = sequences.read(*window)
        expected, pressed = ReplayReader(replay).window(place, window[2], None, sight)
        assert np.array_equal(frames, expected), window
        assert np.array_equal(actions, pressed)


def test_several_threads_at_once_read_what_one_reads(strangers: list[Replay]) -> None:
    spans = [*whole(strangers), Span(strangers[0], 500, 90)]
    rng = np.random.default_rng(0)
    indices = rng.integers(0, len(spans), 48).tolist()
    windows: list[Window] = [(index, int(rng.integers(spans[index].length - 8)), 8) for index in indices]
    alone = [ReplaySequences(spans).read(*window) for window in windows]
    shared = ReplaySequences(spans)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda window: shared.read(*window), windows))
    for (frames, actions), (expected, pressed) in zip(together, alone, strict=True):
        assert np.array_equal(frames, expected)
        assert np.array_equal(actions, pressed)


def test_frames_that_are_kept_are_those_that_are_drawn_anew(strangers: list[Replay]) -> None:
    spans = [Span(strangers[0], 1037, 80), Span(strangers[1], 200, 64), *whole(strangers)]
    anew, kept = ReplaySequences(spans), Kept(ReplaySequences(spans), 144 * 128 * 128 * 3)  # the first two
    for index, start in ((0, 48), (1, 0), (0, 0), (0, 31), (2, 1777), (1, 32)):
        for drawn, again in zip(anew.read(index, start, 32), kept.read(index, start, 32), strict=True):
            assert np.array_equal(drawn, again)
    with pytest.raises(ReplayError, match="steps 60 to 92 are not all in a sequence of 80 steps"):
        kept.read(0, 60, 32)


def test_lengths_are_those_of_the_spans(ninjas: list[Replay]) -> None:
    assert ReplaySequences(whole(ninjas)).lengths.tolist() == [3000, 3000, 3000]
    assert ReplaySequences([Span(ninjas[0], 5, 70), Span(ninjas[1], 0, 99)]).lengths.tolist() == [70, 99]
    assert ReplaySequences([]).lengths.shape == (0,)


def test_a_window_outside_the_replay_is_refused(ninjas: list[Replay]) -> None:
    with pytest.raises(ReplayError, match="steps 2990 to 3010 are not all in a sequence of 3000 steps"):
        ReplaySequences(whole(ninjas)).read(0, 2990, 20)
    span = ReplaySequences([Span(ninjas[0], 100, 50)])
    for start in (-1, 19):
        with pytest.raises(ReplayError, match="not all in a sequence of 50 steps"):
            span.read(0, start, 32)


def test_replays_are_loaded_as_they_were_saved_in_order(ninjas: list[Replay], tmp_path: Path) -> None:
    paths = [match_path(tmp_path, k) for k in range(3)]
    for replay, path in zip(ninjas, paths, strict=True):
        replay.save(path)
    for loaded, replay in zip(load_replays(paths), ninjas, strict=True):
        assert np.array_equal(loaded.actions, replay.actions)
    paths[1].write_bytes(b"")
    with pytest.raises(ReplayError, match="match-000001"):
        load_replays(paths)


# Curating


def test_a_trajectory_begins_with_its_life_and_ends_with_the_step_that_reaches_the_pad(ninjas: list[Replay]) -> None:
    spans = curate(ninjas, "ninja", 4)
    assert len(spans) == 12
    for k, span in enumerate(spans):
        life = span.replay.lives[:, 0].tolist().index(span.start)
        assert span.replay.jumppads[life].tolist() == [span.start + span.length - 1, k // 4]


def test_so_many_are_taken_of_each_pad_the_first_ones_and_pad_by_pad() -> None:
    lives = [(0, 49, 2), (60, 119, 0), (130, 199, 1), (210, 259, 0), (270, 319, 0), (330, 389, 1), (400, 469, 2)]
    replay, other = made_up(*lives), made_up((0, 44, 2))
    assert places(curate([replay, other], "ninja", 2)) == [
        (60, 60),
        (210, 50),
        (130, 70),
        (330, 60),
        (0, 50),
        (400, 70),
    ]
    assert places(curate([replay, other], "ninja", 1)) == [(60, 60), (130, 70), (0, 50)]
    spans = curate([other, replay], "ninja", 2)
    assert places(spans)[4:] == [(0, 45), (0, 50)]
    assert [span.replay is other for span in spans] == [False] * 4 + [True, False]


def test_trajectories_to_a_pad_take_turns_at_how_they_are_seen(ninjas: list[Replay]) -> None:
    sights = (DIRECT, Sight(late=1), Sight(late=2, drawn=256))
    spans = curate(ninjas, "ninja", 4, sights)
    assert [span.sight for span in spans] == [*sights, DIRECT] * 3
    plain = curate(ninjas, "ninja", 4)
    assert [span.sight for span in plain] == [DIRECT] * 12
    frames, actions = ReplaySequences(spans).read(2, 3, 8)
    assert np.array_equal(frames, ReplayReader(spans[2].replay).window(spans[2].start + 3, 8, sight=sights[2])[0])
    assert not np.array_equal(frames, ReplaySequences(plain).read(2, 3, 8)[0])
    assert np.array_equal(actions, ReplaySequences(plain).read(2, 3, 8)[1])


def test_only_lives_that_reach_a_pad_within_a_hundred_steps_count() -> None:
    in_time, too_late, never = (0, 99, 0), (200, 300, 0), (0, -1, -1)
    others = made_up((0, 9, 1), (50, 59, 2))
    assert places(curate([made_up(never, too_late), made_up(in_time), others], "ninja", 1))[0] == (0, 100)
    with pytest.raises(DataError, match=r"\{'left': 0, 'middle': 1, 'right': 1\}"):
        curate([made_up(never, too_late), others], "ninja", 1)


def test_only_the_character_that_was_asked_for_is_taken() -> None:
    pads = ((0, 9, 0), (50, 59, 1), (100, 109, 2))
    ninja, brute = made_up(*pads), made_up(*pads, character="brute")
    for character, replay in (("ninja", ninja), ("brute", brute)):
        assert all(span.replay is replay for span in curate([brute, ninja, brute], character, 1))


def test_too_few_are_refused_with_how_many_there_are_and_what_to_do() -> None:
    replay = made_up((0, 9, 0), (50, 59, 0), (100, 109, 2))
    with pytest.raises(DataError) as error:
        curate([replay, made_up((0, 9, 1), character="monk")], "ninja", 2)
    assert str(error.value) == (
        "2 trajectories of the ninja to each pad are needed, and there are {'left': 2, 'middle': 0, 'right': 1}; "
        "record more with: skygarden gameplay --character ninja"
    )
