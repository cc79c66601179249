"""Laws of the image augmentations."""

import math

import numpy as np
import pytest

from agents.augment import AugmentConfig, Draw, apply, augment, draw
from envs.errors import OptionError

STILL = Draw(np.eye(3), 1.0, np.eye(2, 3))
NOTHING = dict.fromkeys(AugmentConfig.__dataclass_fields__, 0.0)


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


def test_draws_fill_their_ranges():
    rng, config = np.random.default_rng(0), AugmentConfig(**NOTHING | {"rotation": 2.0, "contrast": 0.2})
    draws = [draw(config, 128, rng) for _ in range(500)]
    angles = [math.degrees(math.asin(d.warp[1, 0])) for d in draws]
    assert (min(angles), max(angles)) == pytest.approx((-2, 2), abs=0.1)
    contrasts = [d.contrast for d in draws]
    assert (min(contrasts), max(contrasts)) == pytest.approx((0.8, 1.2), abs=0.01)
    centre = np.array([63.5, 63.5, 1.0])
    assert all(np.allclose(d.warp @ centre, centre[:2]) for d in draws)


def test_a_factor_that_could_reach_zero_is_refused():
    with pytest.raises(OptionError, match="less than 1"):
        AugmentConfig(brightness=1.0)
