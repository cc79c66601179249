"""Laws of the loader: what is drawn, in what order, and what is left of its threads."""

import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from itertools import islice

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from agents import data
from agents.augment import VPT, AugmentConfig
from agents.data import Kept, Loader, LoaderConfig
from agents.imitation import Batch
from agents.parallel import Processors
from envs.errors import DataError, OptionError
from envs.gamepad import NOOP

LENGTH = 4
NEUTRAL = AugmentConfig(
    hue=0, saturation=0, brightness=0, contrast=0, rotation=0, scale=0, shear=0, translation=0
)  # draws, and changes nothing


class Numbered:
    """Sequences whose every step says which it is, and which may not be asked for anything else.

    An action holds A, the sequence on LX and the step on LY (elevens) and RX (ones); at an idle step it is a no-op.
    A frame is of one colour: the sequence, the step and 77.
    """

    def __init__(self, *lengths: int, idle: tuple[int, ...] = (), length: int = LENGTH) -> None:
        self.lengths = np.array(lengths, np.int64)
        self._idle, self._length = idle, length

    def read(
        self, index: int, start: int, length: int, out: NDArray[np.uint8] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        assert type(index) is int
        assert type(start) is int
        assert 0 <= index < len(self.lengths)
        assert length == self._length
        assert 0 <= start <= self.lengths[index] - length
        steps = np.arange(start, start + length)
        actions = np.tile(NOOP, (length, 1))
        actions[:, 0], actions[:, 12] = 1, index
        actions[:, 13], actions[:, 14] = np.divmod(steps, 11)
        actions[np.isin(steps, self._idle)] = NOOP
        frames = np.empty((length, 128, 128, 3), np.uint8)
        frames[..., 0], frames[..., 1], frames[..., 2] = index, steps[:, None, None], 77
        for array in (frames, actions):
            array.setflags(write=False)
        return frames, actions


class Broken(Numbered):
    """A disk that fails at the fifth read."""

    reads = 0

    def read(
        self, index: int, start: int, length: int, out: NDArray[np.uint8] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        self.reads += 1
        if self.reads >= 5:
            raise OSError("the disk is gone")
        return super().read(index, start, length)


def config(**changes) -> LoaderConfig:
    """Small batches of short windows, two threads."""
    values = {"batch_size": 6, "length": LENGTH, "augment": None, "threads": 2}
    return LoaderConfig(**values | changes)


def run(loader: Loader, start: int = 0) -> Generator[Batch, None, None]:
    """The batches, as the generator that they are: it can be closed."""
    batches = loader(start)
    assert isinstance(batches, Generator)
    return batches


def take(loader: Loader, count: int, start: int = 0) -> list[Batch]:
    """Some batches, and no thread left behind."""
    with closing(run(loader, start)) as batches:
        return list(islice(batches, count))


def equal(a: Batch, b: Batch) -> bool:
    """Bit for bit."""
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("frames", "actions", "counted"))


def places(batch: Batch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What the actions say: the sequence and the steps of each window, (B, T) each."""
    actions = batch.actions.numpy().astype(np.int64)
    return actions[..., 12], actions[..., 13] * 11 + actions[..., 14]


def working() -> set[threading.Thread]:
    """The threads of loaders that are alive."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("loader")}


# What is drawn


def test_a_batch_is_the_same_wherever_the_loader_starts_and_however_many_threads_draw_it() -> None:
    sequences = Numbered(40, 25)
    one = take(Loader(sequences, config(augment=VPT, threads=1)), 4)
    three = take(Loader(sequences, config(augment=VPT, threads=3, ahead=3)), 4)
    late = take(Loader(sequences, config(augment=VPT, threads=3)), 2, start=2)
    assert all(equal(a, b) for a, b in zip(one, three, strict=True))
    assert all(equal(a, b) for a, b in zip(one[2:], late, strict=True))
    assert not equal(one[0], one[1])


def test_another_seed_draws_other_windows() -> None:
    first, second = (take(Loader(Numbered(100), config(seed=seed)), 1)[0] for seed in (0, 1))
    assert not torch.equal(first.actions, second.actions)


def test_a_window_is_steps_of_one_sequence_that_follow_each_other_each_with_its_frame() -> None:
    lengths = np.array([LENGTH, 9, 30])
    seen = set()
    for batch in take(Loader(Numbered(*lengths.tolist()), config()), 20):
        sequence, step = places(batch)
        assert (sequence == sequence[:, :1]).all()
        assert (np.diff(step) == 1).all()
        assert (step[:, 0] >= 0).all()
        assert (step[:, -1] < lengths[sequence[:, 0]]).all()
        assert np.array_equal(batch.frames[:, :, 64, 64].numpy(), np.stack([sequence, step, 0 * step + 77], -1))
        seen |= set(sequence[:, 0].tolist())
    assert seen == {0, 1, 2}


def test_sequences_are_chosen_by_length_and_every_step_is_seen_about_as_often_as_any_other() -> None:
    """A window of 4 may hang over either end before it is moved inside: of 10 steps, 13 places, 4 with the first step.

    The 3 to the left of the start all become the window at the start, so the steps there gain up to 3 places; none has
    fewer than the interior's 4.
    """
    windows, counts = 4000, {0: np.zeros(10), 1: np.zeros(30)}
    for batch in take(Loader(Numbered(10, 30), config(batch_size=200, ahead=1)), windows // 200):
        for sequence, steps in zip(*places(batch), strict=True):
            counts[int(sequence[0])][steps] += 1
    shares = {0: np.array([4, 5, 6, 7, 4, 4, 7, 6, 5, 4]) / 13, 1: np.array([4, 5, 6, 7, *[4] * 22, 7, 6, 5, 4]) / 33}
    for sequence, of_all in ((0, 0.25), (1, 0.75)):
        chance = of_all * shares[sequence]
        spread = np.sqrt(windows * chance * (1 - chance))
        assert (np.abs(counts[sequence] - windows * chance) < 4 * spread).all()
        drawn = counts[sequence].sum() / LENGTH
        assert drawn == pytest.approx(windows * of_all, abs=4 * np.sqrt(windows * 0.25 * 0.75))


def test_sequences_of_one_length_are_equally_likely() -> None:
    drawn = np.zeros(3)
    for batch in take(Loader(Numbered(4, 4, 4), config(batch_size=200, ahead=1)), 6):
        drawn += np.bincount(places(batch)[0][:, 0], minlength=3)
    assert (np.abs(drawn - 400) < 4 * np.sqrt(1200 * 1 / 3 * 2 / 3)).all()  # 65


def test_the_first_and_the_last_step_of_a_long_sequence_are_seen_as_often_as_one_in_the_middle() -> None:
    """Each of 60 steps is in 4 of 63 windows; drawn where it fits, the first would be in 1 of 57."""
    counts = np.zeros(60)
    for batch in take(Loader(Numbered(60), config(batch_size=200, ahead=1)), 20):
        counts[:] += np.bincount(places(batch)[1].ravel(), minlength=60)
    middle = counts[10:50].mean()
    assert middle == pytest.approx(4000 * 4 / 63, rel=0.05)  # 254
    assert counts[0] == pytest.approx(middle, rel=0.25)  # 4 standard deviations
    assert counts[-1] == pytest.approx(middle, rel=0.25)


def test_no_ops_are_in_a_window_and_do_not_count() -> None:
    (batch,) = take(Loader(Numbered(5, idle=(1, 3), length=5), config(length=5)), 1)
    assert batch.counted.tolist() == [[True, False, True, False, True]] * 6
    assert (batch.actions[:, 1] == torch.as_tensor(NOOP.copy())).all()


# What is done to it


def test_without_augmentation_and_with_one_of_no_strength_frames_are_what_was_read() -> None:
    (plain,), (neutral,) = (take(Loader(Numbered(40), config(augment=a)), 1) for a in (None, NEUTRAL))
    assert equal(plain, neutral)


def test_an_augmentation_changes_the_frames_and_neither_the_windows_nor_the_actions() -> None:
    (plain,), (augmented,) = (take(Loader(Numbered(40), config(augment=a)), 1) for a in (None, VPT))
    assert torch.equal(plain.actions, augmented.actions)
    assert torch.equal(plain.counted, augmented.counted)
    assert (plain.frames != augmented.frames).flatten(1).any(1).all()


def test_the_frames_of_a_window_are_augmented_alike_and_those_of_another_otherwise() -> None:
    """Blue is 77 in every frame; a factor of brightness takes it to one shade a window."""
    colour = AugmentConfig(hue=0, saturation=0, brightness=0.5, contrast=0, rotation=0, scale=0, shear=0, translation=0)
    (batch,) = take(Loader(Numbered(40), config(augment=colour)), 1)
    blue = batch.frames[:, :, 64, 64, 2]
    assert (blue == blue[:, :1]).all()
    assert len(set(blue[:, 0].tolist())) > 1
    assert 77 / 2 - 1 <= blue.min() <= blue.max() <= 77 * 3 / 2 + 1


# Its threads


def test_the_memory_of_a_batch_is_used_again_once_nothing_holds_any_of_it() -> None:
    with closing(run(Loader(Numbered(12, 30), config(ahead=1)))) as batches:
        first, second = next(batches), next(batches)
        places = {batch.frames.data_ptr() for batch in (first, second)}
        part = first.frames[1:]
        kept = part.clone()
        del first, second
        places |= {next(batches).frames.data_ptr() for _ in range(4)}
        assert torch.equal(part, kept)
        del part
        later = {next(batches).frames.data_ptr() for _ in range(6)}
    assert later <= places
    assert len(places) <= 4


def test_a_batch_that_was_given_out_is_not_touched_again() -> None:
    loader = Loader(Numbered(100), config(ahead=1))
    with closing(run(loader)) as batches:
        given = [next(batches) for _ in range(2)]
        kept = [Batch(b.frames.clone(), b.actions.clone(), b.counted.clone()) for b in given]
        list(islice(batches, 6))
    assert all(equal(a, b) for a, b in zip(given, kept, strict=True))


def test_windows_are_drawn_where_a_processor_is_free(monkeypatch) -> None:
    processors, watched = Processors(1), Watched(100)
    monkeypatch.setattr(data, "PROCESSORS", processors)
    with ThreadPoolExecutor(1) as pool, closing(run(Loader(watched, config()))) as batches:
        with processors.work(can_wait=False):
            first = pool.submit(next, batches)
            assert wait([first], timeout=0.1).not_done
            assert watched.asked == []
        assert equal(first.result(30), take(Loader(Watched(100), config()), 1)[0])


def test_threads_end_with_the_batches() -> None:
    before = working()
    batches = run(Loader(Numbered(100), config(threads=3)))
    next(batches)
    assert working() > before
    batches.close()
    assert working() == before


def test_an_error_while_reading_reaches_who_asked_for_the_batch_and_ends_the_threads() -> None:
    before = working()
    batches = run(Loader(Broken(100), config(batch_size=2)))
    with pytest.raises(OSError, match="the disk is gone"):
        list(batches)
    assert working() == before
    assert next(batches, None) is None


# What is kept


FRAME = 128 * 128 * 3


class Watched:
    """Sequences that keep count of what is asked for, and fail or wait when told to."""

    def __init__(self, *lengths: int) -> None:
        self.lengths = np.array(lengths, np.int64)
        self.asked: list[tuple[int, int, int]] = []
        self.failing = False
        self.doors: dict[int, threading.Event] = {}  # sequences that are read when theirs is open

    def read(
        self, index: int, start: int, length: int, out: NDArray[np.uint8] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        self.asked.append((index, start, length))
        if index in self.doors:
            assert self.doors[index].wait(30)
        if self.failing:
            raise OSError("the disk is gone")
        return Numbered(*self.lengths.tolist(), length=length).read(index, start, length)


class Drawing(Numbered):
    """Sequences that put their frames where they are told to."""

    def read(
        self, index: int, start: int, length: int, out: NDArray[np.uint8] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        frames, actions = super().read(index, start, length)
        assert out is not None
        out[...] = frames
        return out, actions


@pytest.mark.parametrize("augment", [None, VPT])
def test_frames_that_are_put_where_the_loader_says_are_those_of_the_batch(augment: AugmentConfig | None) -> None:
    lengths = (12, 4, 30, 7)
    plain = take(Loader(Numbered(*lengths), config(augment=augment)), 8)
    drawn = take(Loader(Drawing(*lengths), config(augment=augment)), 8)
    assert all(equal(a, b) for a, b in zip(plain, drawn, strict=True))


@pytest.mark.parametrize("memory", [FRAME, 12 * FRAME, 10**9])
@pytest.mark.parametrize("threads", [1, 4])
def test_a_loader_that_keeps_frames_draws_the_same_batches(memory: int, threads: int) -> None:
    lengths = (12, 4, 30, 7)
    plain = take(Loader(Numbered(*lengths), config(augment=VPT)), 8)
    kept = take(Loader(Watched(*lengths), config(augment=VPT, memory=memory, threads=threads)), 8)
    assert all(equal(a, b) for a, b in zip(plain, kept, strict=True))


def test_a_sequence_that_is_kept_is_read_once() -> None:
    watched = Watched(12, 4, 30, 7)
    take(Loader(watched, config(memory=53 * FRAME)), 20)
    assert sorted(watched.asked) == [(0, 0, 12), (1, 0, 4), (2, 0, 30), (3, 0, 7)]


def test_whole_sequences_are_kept_until_the_memory_is_full_and_the_others_are_read_as_before() -> None:
    """Of 20 frames, 12 and then 7 fit; 30 does not, and when the two are there, neither does 4."""
    watched = Watched(12, 4, 30, 7)
    kept = Kept(watched, 20 * FRAME)
    for _ in range(2):
        for index in (2, 0, 3, 1):
            kept.read(index, 1, 3)
    assert watched.asked == [(2, 1, 3), (0, 0, 12), (3, 0, 7), (1, 1, 3), (2, 1, 3), (1, 1, 3)]


def test_what_is_read_may_not_be_written_to_kept_or_not() -> None:
    kept = Kept(Watched(4, 30), 4 * FRAME)
    assert not any(array.flags.writeable for index in (0, 1) for array in kept.read(index, 0, 4))


def test_threads_that_want_one_sequence_wait_for_the_one_that_reads_it() -> None:
    watched = Watched(9, 9)
    watched.doors[0] = threading.Event()
    kept = Kept(watched, 10**9)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(kept.read, 0, start, 4) for start in range(4)]
        frames, _ = kept.read(1, 5, 4)  # while the first is being read
        assert frames[:, 0, 0, 1].tolist() == [5, 6, 7, 8]
        assert not any(job.done() for job in waiting)
        watched.doors[0].set()
        shown = [job.result()[0][:, 0, 0, 1].tolist() for job in waiting]
    assert shown == [list(range(start, start + 4)) for start in range(4)]
    assert sorted(watched.asked) == [(0, 0, 9), (1, 0, 9)]


def test_an_error_while_a_sequence_is_read_reaches_all_who_wait_and_who_comes_later_tries_again() -> None:
    watched = Watched(9)
    watched.failing = True
    watched.doors[0] = threading.Event()
    kept = Kept(watched, 9 * FRAME)
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(kept.read, 0, 0, 4) for _ in range(3)]
        watched.doors[0].set()
        assert {str(job.exception()) for job in waiting} == {"the disk is gone"}
    watched.failing = False
    for _ in range(2):
        kept.read(0, 0, 4)
    assert watched.asked[-1] == (0, 0, 9)  # there is room again
    assert len(watched.asked) <= 4


@pytest.mark.parametrize("window", [(0, -1, 4), (0, 6, 4), (0, 0, 10)])
def test_a_window_outside_a_sequence_is_asked_for_and_refused_as_without(window: tuple[int, int, int]) -> None:
    watched = Watched(9)
    with pytest.raises(AssertionError):  # a strict fake refuses in its own words
        Kept(watched, 10**9).read(*window)
    assert watched.asked == [window]


# What is refused


def test_no_sequences_and_one_that_is_shorter_than_a_window_are_refused() -> None:
    with pytest.raises(DataError, match="there is no sequence to learn from"):
        Loader(Numbered(), config())
    with pytest.raises(DataError, match="sequence 1 has 3 steps, and a window needs 4"):
        Loader(Numbered(10, 3, 5), config())
    with pytest.raises(DataError, match="sequence 1 has 3 steps, and a window needs 4"):
        Loader(Numbered(10, 3, 5), config(memory=10**9))
    (batch,) = take(Loader(Numbered(LENGTH), config()), 1)  # just long enough
    assert places(batch)[1].tolist() == [[0, 1, 2, 3]] * 6


@pytest.mark.parametrize(
    "wrong", [{"batch_size": 0}, {"length": 0}, {"ahead": 0}, {"threads": -1}, {"memory": -1}, {"seed": -1}]
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(OptionError, match="counts of 1 or more"):
        config(**wrong)
