"""Laws of the image augmentations."""

import hashlib
import math
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from agents.augment import VPT, YIQ, AugmentConfig, Draw, apply, augment, draw
from envs.errors import DataError, OptionError

STILL = Draw(np.eye(3), 1.0, np.eye(2, 3))
NOTHING = dict.fromkeys(AugmentConfig.__dataclass_fields__, 0.0)


WITHOUT_AVX512 = """
import llvmlite.binding
features = llvmlite.binding.get_host_cpu_features()
features.update((name, False) for name in features if name.startswith("avx512"))
llvmlite.binding.get_host_cpu_features = lambda: features
import hashlib
import numpy as np
from agents.augment import VPT, augment
from envs.simd import HAS_PERMUTATION
rng = np.random.default_rng(0)
window = rng.integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
print(HAS_PERMUTATION, hashlib.sha256(augment(window, VPT, rng)).hexdigest())
"""


def plainly(frames: NDArray[np.uint8], drawn: Draw) -> NDArray[np.float64]:
    """What `apply` does, pixel for pixel as it is defined, in float64 and without the last rounding."""
    side = frames.shape[1]
    rows, columns = np.indices((side, side))
    x, y = np.clip(np.tensordot(drawn.warp, np.stack((columns, rows, np.ones_like(rows))), 1), 0, side - 1)
    left, top = x.astype(int), y.astype(int)
    right, bottom = np.minimum(left + 1, side - 1), np.minimum(top + 1, side - 1)
    across, down = (x - left)[..., None], (y - top)[..., None]
    upper = (1 - across) * frames[:, top, left] + across * frames[:, top, right]
    lower = (1 - across) * frames[:, bottom, left] + across * frames[:, bottom, right]
    mixed = (1 - down) * upper + down * lower
    grey = YIQ[0] @ drawn.colour @ frames[::8].reshape(-1, 3).mean(0)
    return np.clip(mixed @ (drawn.contrast * drawn.colour).T + (1 - drawn.contrast) * grey, 0, 255)


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    """Frames in which no two pixels are alike."""
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def test_shape_and_dtype_are_kept_and_the_input_is_not_changed(frames):
    window = frames(4)
    copy = window.copy()
    result = augment(window, AugmentConfig(), np.random.default_rng(0))
    assert (result.shape, result.dtype) == (window.shape, np.uint8)
    assert not np.array_equal(result, window)
    assert np.array_equal(window, copy)


def test_all_frames_of_a_window_are_changed_alike(frames):
    window = np.repeat(frames(1), 5, axis=0)
    result = augment(window, AugmentConfig(), np.random.default_rng(0))
    assert (result == result[0]).all()


def test_without_strength_nothing_changes(frames):
    window = frames(3)
    assert np.array_equal(augment(window, AugmentConfig(**NOTHING), np.random.default_rng(0)), window)


def test_a_seed_gives_the_draw(frames):
    window = frames(2)
    results = [augment(window, AugmentConfig(), np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])


def test_hue_and_saturation_leave_grey_and_brightness_scales_it():
    grey = np.full((1, 128, 128, 3), 100, np.uint8)
    colour = AugmentConfig(**NOTHING | {"hue": 0.5, "saturation": 0.5})
    assert np.array_equal(augment(grey, colour, np.random.default_rng(0)), grey)
    assert (apply(grey, Draw(1.2 * np.eye(3), 1.0, STILL.warp)) == 120).all()


def test_contrast_pulls_towards_the_mean_grey():
    halves = np.zeros((1, 128, 128, 3), np.uint8)
    halves[:, :64] = 200  # mean 100: 0.5 x (200 - 100) + 100 = 150, and 50
    result = apply(halves, Draw(np.eye(3), 0.5, STILL.warp))
    assert (result[:, :64] == 150).all()
    assert (result[:, 64:] == 50).all()


def test_half_a_turn_of_hue_gives_the_other_side_of_the_grey_axis():
    # Luma stays, the difference to it changes sign: (100, 80, 60) has luma 83.7 and turns to (67.4, 87.4, 107.4).
    plane = np.diag([1.0, -1.0, -1.0])
    yiq = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    turned = apply(
        np.full((1, 8, 8, 3), (100, 80, 60), np.uint8), Draw(np.linalg.inv(yiq) @ plane @ yiq, 1.0, STILL.warp)
    )
    np.testing.assert_allclose(turned[0, 0, 0], [67.4, 87.4, 107.4], atol=0.6)


def test_a_shift_shows_what_lay_beside_and_repeats_the_border(frames):
    window = frames(1)
    shifted = apply(window, Draw(np.eye(3), 1.0, np.array([[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]])))
    assert np.array_equal(shifted[:, 1:, :-2], window[:, :-1, 2:])
    assert np.array_equal(shifted[:, 0], shifted[:, 1])


def check_is_the_definition(frames: NDArray[np.uint8], drawn: Draw) -> None:
    """Half a level by the last rounding, and what the weights' rounding makes of a level, as the colours stretch it."""
    difference = np.abs(apply(frames, drawn) - plainly(frames, drawn))
    stretch = max(1.0, abs(drawn.contrast * drawn.colour).sum(1).max())
    assert difference.max() < min(0.5 + 0.03 * stretch, 1.52)
    assert np.mean(difference > 0.5 + 0.01 * stretch) < 0.001


@given(seed=st.integers(0, 10_000), side=st.sampled_from([4, 5, 15, 16, 17, 32, 33, 128]))
def test_any_draw_for_any_side_is_the_definition(seed, side):
    window = noise(max(2, 4096 // side**2), side, side, seed=seed)  # of few pixels, two would be more than their share
    drawn = draw(VPT, side, 1, np.random.default_rng(seed))[0]
    check_is_the_definition(window, drawn)
    assert np.mean(np.abs(apply(window, drawn) - plainly(window, drawn)) > 0.52) < 0.001


@given(seed=st.integers(0, 10_000), side=st.sampled_from([5, 16, 32, 33]), strength=st.sampled_from([0.2, 1.0, 3.0]))
def test_any_affine_map_at_all_is_the_definition(seed, side, strength):
    """Mirrored, turned, shrunk, far outside; colours negative and beyond white."""
    rng = np.random.default_rng(seed)
    warp = np.column_stack((rng.normal(0, strength, (2, 2)), rng.uniform(-side, 2 * side, 2)))
    drawn = Draw(rng.normal(0, strength, (3, 3)), float(rng.uniform(-1, 2)), warp)
    check_is_the_definition(noise(max(2, 4096 // side**2), side, side, seed=seed), drawn)


def test_quarter_turns_and_mirrors_move_pixels_and_mix_none():
    window = noise(2, 40, 40)
    for turns in range(4):
        cosine, sine = [(1, 0), (0, 1), (-1, 0), (0, -1)][turns]
        linear = np.array([[cosine, -sine], [sine, cosine]])
        centre = np.full(2, 19.5)
        turn = np.column_stack((linear, centre - linear @ centre))
        assert np.array_equal(apply(window, Draw(np.eye(3), 1.0, turn)), np.rot90(window, turns, (1, 2)))
    mirror = np.array([[-1.0, 0, 39], [0, 1, 0]])
    assert np.array_equal(apply(window, Draw(np.eye(3), 1.0, mirror)), window[:, :, ::-1])


def test_colours_are_clipped_after_they_are_mixed():
    """Two and a half times the 100 that lie half-way between 200 and black are 250; 300 would be white."""
    stripes = np.zeros((1, 16, 16, 3), np.uint8)
    stripes[:, :, ::2] = 200
    half = np.array([[1.0, 0, 0.5], [0, 1, 0]])
    for factor, level in ((2.5, 250), (3.0, 255), (-1.0, 0)):
        assert (apply(stripes, Draw(factor * np.eye(3), 1.0, half))[:, :, :-1] == level).all()


def test_beyond_the_border_is_the_border():
    window = noise(1, 20, 20)
    for (x, y), corner in {(-99, -99): (0, 0), (99, -99): (0, 19), (-99, 99): (19, 0), (99, 99): (19, 19)}.items():
        result = apply(window, Draw(np.eye(3), 1.0, np.array([[1.0, 0, x], [0, 1, y]])))
        assert (result == window[0, corner[0], corner[1]]).all()


@pytest.mark.parametrize("side", [4, 15, 17, 128])
def test_nothing_is_written_beside_the_result(side):
    whole = np.full((4, side, side, 3), 7, np.uint8)
    window = noise(2, side, side)
    given_back = apply(window, draw(VPT, side, 1, np.random.default_rng(0))[0], whole[1:3])
    assert np.array_equal(given_back, whole[1:3])
    assert (whole[[0, 3]] == 7).all()


def test_threads_that_augment_at_once_get_what_each_would_alone():
    draws = draw(VPT, 64, 32, np.random.default_rng(0))
    window = noise(8, 64, 64)
    alone = [apply(window, drawn) for drawn in draws]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda drawn: apply(window, drawn), draws))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_frames_that_may_not_be_written_to_are_read():
    window = noise(1, 16, 16)
    window.setflags(write=False)
    assert np.array_equal(apply(window, STILL), window)


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="asks for an older processor of this kind")
def test_without_avx512_the_result_is_the_same():
    # In a process of its own: what a processor can do is asked for on import.
    environment = os.environ | {"NUMBA_CPU_NAME": "haswell"}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_AVX512],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    rng = np.random.default_rng(0)
    window = rng.integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    assert done.stdout == f"False {hashlib.sha256(augment(window, VPT, rng).tobytes()).hexdigest()}\n", done.stderr


@pytest.mark.parametrize(
    ("frames", "out"),
    [
        (np.zeros((1, 3, 3, 3), np.uint8), None),
        (np.zeros((1, 8, 9, 3), np.uint8), None),
        (np.zeros((1, 8, 8, 4), np.uint8), None),
        (np.zeros((1, 8, 8, 3), np.float32), None),
        (np.zeros((2, 8, 8, 3), np.uint8), np.zeros((1, 8, 8, 3), np.uint8)),
        (np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 8, 8, 6), np.uint8)[..., ::2]),
    ],
)
def test_arrays_that_are_no_frames_are_refused(frames, out):
    with pytest.raises(DataError, match=r"augmenting takes \(T, S, S, 3\) uint8 frames"):
        apply(frames, STILL, out)


def test_frames_are_not_augmented_in_place():
    window = noise(3, 16, 16)
    with pytest.raises(DataError, match="other memory than the frames"):
        apply(window[:2], STILL, window[1:])
    assert np.array_equal(apply(window[:1], STILL, window[1:2]), window[:1])


def test_draws_fill_their_ranges():
    rng, config = np.random.default_rng(0), AugmentConfig(**NOTHING | {"rotation": 2.0, "contrast": 0.2})
    draws = draw(config, 128, 500, rng)
    angles = [math.degrees(math.asin(d.warp[1, 0])) for d in draws]
    assert (min(angles), max(angles)) == pytest.approx((-2, 2), abs=0.1)
    contrasts = [d.contrast for d in draws]
    assert (min(contrasts), max(contrasts)) == pytest.approx((0.8, 1.2), abs=0.01)
    centre = np.array([63.5, 63.5, 1.0])
    assert all(np.allclose(d.warp @ centre, centre[:2]) for d in draws)


def test_a_factor_that_could_reach_zero_is_refused():
    with pytest.raises(OptionError, match="less than 1"):
        AugmentConfig(brightness=1.0)
