"""Laws of the import of the published clips: what is good comes through whole, what is not is named and left out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from envs.errors import DataError
from rollout.bleeding_edge import import_clips, list_clips, read_clip
from rollout.recordings import RecordedSequences, list_recordings

STEPS = 40
SIZES = (2,) * 12 + (11,) * 4

Arrays = dict[str, NDArray[Any]]


def made(seed: int = 0) -> Arrays:
    """A clip as they are published, but of 4 seconds: coarse noise at 180 x 300, float32 actions, privileged states."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (STEPS, 18, 30, 3), np.uint8).repeat(10, 1).repeat(10, 2)
    actions = rng.integers(0, SIZES, (STEPS, 16)).astype(np.float32)
    return {"images": images, "actions": actions, "states": rng.normal(size=(STEPS, 56)).astype(np.float32)}


def save(path: Path, clip: Arrays, packed: bool = False) -> Path:
    """Write a clip."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write: Any = np.savez_compressed if packed else np.savez
    write(path, **clip)
    return path


def pressed(component: int, value: float) -> Arrays:
    """A clip whose step 7 has a value for a component."""
    clip = made()
    clip["actions"][7, component] = value
    return clip


# What comes through


def test_a_clip_is_read_the_same_whichever_way_round_its_colours_are(tmp_path: Path) -> None:
    clip = made()
    last = read_clip(save(tmp_path / "last.npz", clip))
    first = read_clip(save(tmp_path / "first.npz", clip | {"images": clip["images"].transpose(0, 3, 1, 2)}))
    packed = read_clip(save(tmp_path / "packed.npz", clip, packed=True))
    for frames, actions in (last, first, packed):
        assert np.array_equal(frames, last[0])
        assert np.array_equal(actions, clip["actions"])
        assert (frames.dtype, frames.shape) == (np.uint8, (STEPS, 128, 128, 3))
        assert (actions.dtype, actions.shape) == (np.uint8, (STEPS, 16))


def test_each_image_becomes_its_frame_with_red_green_and_blue_where_they_were(tmp_path: Path) -> None:
    colours = np.array([[k, 100 + k, 255 - k] for k in range(STEPS)], np.uint8)
    images = np.broadcast_to(colours[:, None, None], (STEPS, 180, 300, 3))
    frames, _ = read_clip(save(tmp_path / "a.npz", made() | {"images": images}))
    assert (frames == colours[:, None, None]).all()


def test_the_whole_image_is_resized_to_the_frame(tmp_path: Path) -> None:
    """Its middle, 150 of 300 columns and 90 of 180 rows, is the frame's, 64; a pixel is the mean of its area."""
    clip = made()
    clip["images"][:] = 0
    clip["images"][:20, :, 150:] = 200
    clip["images"][20:, 90:] = 100
    frames, _ = read_clip(save(tmp_path / "a.npz", clip))
    assert (frames[:20, :, :64] == 0).all()
    assert (frames[:20, :, 64:] == 200).all()
    assert (frames[20:, :64] == 0).all()
    assert (frames[20:, 64:] == 100).all()
    clip = made()
    frames, _ = read_clip(save(tmp_path / "b.npz", clip))
    for image, frame in zip(clip["images"], frames, strict=True):
        assert np.array_equal(frame, cv2.resize(image, (128, 128), interpolation=cv2.INTER_AREA))
    assert frames.mean() == pytest.approx(clip["images"].mean(), abs=0.5)


def test_actions_are_buttons_and_buckets_in_this_projects_order(tmp_path: Path) -> None:
    clip = made()
    clip["actions"][0] = [1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 5, 10, 0, 7]
    _, actions = read_clip(save(tmp_path / "a.npz", clip))
    assert actions[0].tolist() == [1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 5, 10, 0, 7]


def test_clips_become_recordings_that_read_back_whatever_folders_they_were_in(tmp_path: Path) -> None:
    clips = {"first-half": made(1), "sub%2Fdeep%2Fsecond": made(2)}
    save(tmp_path / "in" / "first-half.npz", clips["first-half"])
    save(tmp_path / "in" / "sub" / "deep" / "second.npz", clips["sub%2Fdeep%2Fsecond"])
    done = list(import_clips(tmp_path / "in", tmp_path / "out"))
    assert [(clip.clip.name, clip.fault) for clip in done] == [("first-half.npz", None), ("second.npz", None)]
    paths = list_recordings(tmp_path / "out")
    assert [path.name for path in paths] == [f"{name}.frames.npy" for name in clips]
    sequences = RecordedSequences(paths)
    assert sequences.lengths.tolist() == [STEPS, STEPS]
    for index, imported in enumerate(done):
        frames, actions = sequences.read(index, 3, 32)
        expected = read_clip(imported.clip)
        assert np.array_equal(frames, expected[0][3:35])
        assert np.array_equal(actions, expected[1][3:35])


def test_running_it_again_keeps_what_is_there_and_makes_what_is_new(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    save(source / "a.npz", made(1))
    (source / "b.npz").write_bytes(b"half a download")
    assert [clip.fault is None for clip in import_clips(source, out)] == [True, False]
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    save(source / "b.npz", made(2))
    save(source / "c.npz", made(3))
    assert [clip.fault for clip in import_clips(source, out)] == [None, None, None]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [path.name[0] for path in list_recordings(out)] == ["a", "b", "c"]


# What does not


def save_half(path: Path) -> None:
    """A download that was cut short."""
    whole = save(path, made()).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def save_array(path: Path) -> None:
    """An array under the name of an archive."""
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def save_flipped(path: Path) -> None:
    """A bit of an image that is not what it was."""
    data = bytearray(save(path, made()).read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def lacking(*names: str) -> Arrays:
    """A clip without some of its parts."""
    return {name: array for name, array in made().items() if name not in names}


def other(**changes: Callable[[NDArray[Any]], NDArray[Any]]) -> Arrays:
    """A clip with some of its parts changed."""
    clip = made()
    return clip | {name: change(clip[name]) for name, change in changes.items()}


FAULTS: dict[str, tuple[Arrays | Callable[[Path], object], str]] = {
    "no images": (lacking("images"), "lacks images; it holds actions, states"),
    "no actions": (lacking("actions"), "lacks actions; it holds images, states"),
    "only states": (lacking("images", "actions"), "lacks actions and images; it holds states"),
    "empty": ({}, "lacks actions and images; it holds nothing"),
    "float images": (
        other(images=lambda a: a.astype(np.float32)),
        r"images must be .* got \(40, 180, 300, 3\) float32",
    ),
    "grey images": (other(images=lambda a: a[..., 0]), r"images must be .* got \(40, 180, 300\) uint8"),
    "images with alpha": (other(images=lambda a: a[..., [0, 1, 2, 0]]), r"images must be .* got \(40, 180, 300, 4\)"),
    "no image": (other(images=lambda a: a[:0], actions=lambda a: a[:0]), r"images must be .* got \(0, 180, 300, 3\)"),
    "images of objects": (other(images=lambda a: a[:1, :2, :2].astype(object)), "damaged, cut short or no archive"),
    "more images": (other(actions=lambda a: a[1:]), "has 40 images and 39 actions"),
    "more actions": (other(images=lambda a: a[:-2]), "has 38 images and 40 actions"),
    "fifteen components": (other(actions=lambda a: a[:, :15]), r"actions must be numbers \(T, 16\), got \(40, 15\)"),
    "flat actions": (other(actions=lambda a: a.ravel()), r"actions must be numbers \(T, 16\), got \(640,\)"),
    "a stick in units": (pressed(13, -0.5), "action 7 has -0.5 for LY, not a bucket"),
    "text for actions": (other(actions=lambda a: a.astype(str)), "actions must be numbers"),
    "an action beyond everything": (pressed(13, 1e30), "action 7 has .* for LY, not a bucket"),
    "images of no height": (other(images=lambda a: a[:, :0]), r"images must be .* got \(40, 0, 300, 3\)"),
    "an array for an archive": (save_array, "damaged, cut short or no archive"),
    "a button half down": (pressed(0, 0.5), "action 7 has 0.5 for A, not a bucket"),
    "not a number": (pressed(12, np.nan), "action 7 has nan for LX, not a bucket"),
    "infinite": (pressed(15, np.inf), "action 7 has inf for RY, not a bucket"),
    "a button of 2": (pressed(1, 2), "component B .* takes 0 to 1, got 2"),
    "a twelfth bucket": (pressed(14, 11), "component RX .* takes 0 to 10, got 11"),
    "a negative bucket": (pressed(14, -1), "component RX .* takes 0 to 10, got -1"),
    "cut short": (save_half, "damaged, cut short or no archive"),
    "a flipped bit": (save_flipped, "damaged, cut short or no archive .*CRC"),
    "no zip": (lambda path: path.write_bytes(b"<html>404</html>" * 9), "damaged, cut short or no archive"),
    "nothing at all": (lambda path: path.write_bytes(b""), "damaged, cut short or no archive"),
    "a folder": (lambda path: path.mkdir(), "damaged, cut short or no archive"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_clip_is_named_and_left_out_and_the_good_ones_are_kept(tmp_path: Path, fault: str) -> None:
    broken, words = FAULTS[fault]
    source, out = tmp_path / "in", tmp_path / "out"
    for name in ("a", "z"):
        save(source / f"{name}.npz", made())
    if callable(broken):
        broken(source / "m.npz")
    else:
        save(source / "m.npz", broken)
    done = list(import_clips(source, out))
    assert [clip.clip.name for clip in done] == ["a.npz", "m.npz", "z.npz"]
    assert [clip.fault is None for clip in done] == [True, False, True]
    with pytest.raises(DataError, match=words) as error:
        read_clip(source / "m.npz")
    assert str(error.value) == done[1].fault
    assert sorted(path.name[:-4] for path in out.iterdir()) == ["a.actions", "a.frames", "z.actions", "z.frames"]


def test_clips_whose_names_differ_only_in_their_folders_are_two_recordings(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a" / "b.npz", made(1))
    save(tmp_path / "in" / "a-b.npz", made(2))
    assert [clip.fault for clip in import_clips(tmp_path / "in", tmp_path / "out")] == [None, None]
    assert len(list_recordings(tmp_path / "out")) == 2


def test_a_folder_without_clips_is_refused(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("no clips", encoding="utf-8")
    with pytest.raises(DataError, match=r"no \.npz clips in"):
        list_clips(tmp_path)
    with pytest.raises(DataError, match=r"no \.npz clips in"):
        next(import_clips(tmp_path, tmp_path / "out"))
