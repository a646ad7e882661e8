"""What must hold for every image and every grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import oracle
from tests.support.oracle import COMBINATIONS, INTERPOLATIONS, options_of, plain_sample

settings.register_profile("keras_stn", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("keras_stn")

combinations = st.sampled_from(COMBINATIONS)
sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))
seeds = st.integers(0, 2**32 - 1)
shifts = st.tuples(st.integers(-4, 4), st.integers(-4, 4))
finite = st.floats(allow_nan=False, allow_infinity=False)
"""Any float64, up to 1.8e308."""


def random_images(seed, size, batch=1):
    return np.random.default_rng(seed).normal(size=(batch, *size, 3))


def shifted(images, shift, fill_value):
    """Moves images by whole pixels to the left and up, slice by slice."""
    right, down = shift
    _, height, width, _ = images.shape
    canvas = np.full((len(images), height + 8, width + 8, 3), fill_value, np.float64)
    canvas[:, 4 : 4 + height, 4 : 4 + width] = images
    return canvas[:, 4 + down : 4 + down + height, 4 + right : 4 + right + width]


def shift_grid(size, shift, align_corners):
    height, width = size
    x, y = np.meshgrid(np.arange(width) + shift[0], np.arange(height) + shift[1])
    return oracle.grid_of(np.stack([x, y], axis=-1)[None], height, width, align_corners)


@given(combinations, sizes, seeds)
def test_the_identity_is_the_image(combination, size, seed):
    options = options_of(combination, fill_value=-1.5)
    images = random_images(seed, size)
    grid = oracle.base_grid(*size, options["align_corners"])
    assert np.array_equal(plain_sample(images, grid, **options), images)


@given(st.sampled_from(INTERPOLATIONS), st.booleans(), sizes, shifts, seeds)
def test_a_shift_by_whole_pixels_moves_the_image(interpolation, align_corners, size, shift, seed):
    if align_corners:
        size = (size[0] + 1, size[1] + 1)  # one aligned pixel has no neighbour to move to
    options = options_of((interpolation, "constant", align_corners), fill_value=-1.5)
    images, grid = random_images(seed, size), shift_grid(size, shift, align_corners)
    result = plain_sample(images, grid, **options)
    np.testing.assert_array_equal(result, shifted(images, shift, -1.5))


@given(st.sampled_from(INTERPOLATIONS), sizes, shifts, shifts, seeds)
def test_two_shifts_are_one(interpolation, size, first, second, seed):
    options = options_of((interpolation, "constant", False), fill_value=-1.5)
    images = np.pad(random_images(seed, size), [(0, 0), (8, 8), (8, 8), (0, 0)])
    size = images.shape[1:3]
    once = plain_sample(images, shift_grid(size, first, False), **options)
    twice = plain_sample(once, shift_grid(size, second, False), **options)
    both = plain_sample(images, shift_grid(size, np.add(first, second), False), **options)
    inside = np.s_[:, 8:-8, 8:-8]
    np.testing.assert_array_equal(twice[inside], both[inside])


@given(combinations, sizes, seeds, st.booleans(), st.booleans())
def test_a_mirrored_grid_mirrors_the_image(combination, size, seed, left_right, up_down):
    options = options_of(combination, fill_value=-1.5)
    images = random_images(seed, size)
    mirror = np.array([-1 if left_right else 1, -1 if up_down else 1])
    grid = oracle.base_grid(*size, options["align_corners"]) * mirror
    expected = images[:, :: mirror[1], :: mirror[0]]
    np.testing.assert_array_equal(plain_sample(images, grid, **options), expected)


@given(combinations, st.integers(1, 9), seeds, st.integers(-4, 4))
def test_quarter_turns_are_rot90(combination, size, seed, turns):
    options = options_of(combination, fill_value=-1.5)
    images = random_images(seed, (size, size))
    cos, sin = np.round([np.cos(turns * np.pi / 2), np.sin(turns * np.pi / 2)])
    base = oracle.base_grid(size, size, options["align_corners"])
    grid = base @ np.array([[cos, -sin], [sin, cos]]).T
    result = plain_sample(images, grid, **options)
    np.testing.assert_array_equal(result[0], np.rot90(images[0], turns))


@given(combinations, sizes, seeds, st.floats(-10, 10), st.floats(-10, 10))
def test_sampling_is_linear_in_the_image(combination, size, seed, a, b):
    linear = options_of(combination, fill_value=-1.5)
    first, second = random_images(seed, size), random_images(seed + 1, size)
    grid = np.random.default_rng(seed).uniform(-2, 2, (1, 4, 5, 2))

    def read(images):
        return plain_sample(images, grid, **linear) - plain_sample(images * 0, grid, **linear)

    np.testing.assert_allclose(
        read(a * first + b * second), a * read(first) + b * read(second), atol=1e-10
    )


@given(combinations, sizes, seeds, st.permutations(range(4)))
def test_images_of_a_batch_know_nothing_of_each_other(combination, size, seed, order):
    options = options_of(combination, fill_value=-1.5)
    images = random_images(seed, size, batch=4)
    grid = np.random.default_rng(seed).uniform(-2, 2, (4, 3, 2, 2))
    together = plain_sample(images, grid, **options)
    np.testing.assert_array_equal(
        plain_sample(images[order], grid[order], **options), together[order]
    )
    alone = plain_sample(images[2:3], grid[2:3], **options)
    np.testing.assert_array_equal(alone, together[2:3])


@given(
    st.sampled_from([c for c in COMBINATIONS if c[1] != "constant"]),
    sizes,
    st.lists(st.tuples(finite, finite), min_size=1, max_size=8),
    st.floats(-1e6, 1e6),
)
def test_constant_images_stay_constant(combination, size, points, value):
    images = np.full((1, *size, 3), value)
    result = plain_sample(images, np.array([[points]]), **options_of(combination, fill_value=-1.5))
    np.testing.assert_allclose(result, value, rtol=1e-13, atol=1e-13)


@given(combinations, sizes, st.lists(st.tuples(finite, finite), min_size=1, max_size=8), seeds)
def test_any_finite_grid_reads_something_finite(combination, size, points, seed):
    options = options_of(combination, fill_value=-1.5)
    images, grid = random_images(seed, size), np.array([[points]])
    result = plain_sample(images, grid, **options)
    assert np.isfinite(result).all()
    largest = max(1.5, np.abs(images).max())
    # The weights of a bicubic kernel add up to one, some of them negative: along one axis their
    # magnitudes add up to at most 1.375.
    factor = 1.375**2 if options["interpolation"] == "bicubic" else 1
    assert np.abs(result).max() <= factor * largest + 1e-9


@given(st.sampled_from(INTERPOLATIONS), st.booleans(), sizes, seeds, shifts)
def test_reflected_images_repeat(interpolation, align_corners, size, seed, times):
    options = options_of((interpolation, "reflect", align_corners), fill_value=-1.5)
    height, width = size
    images = random_images(seed, size)
    # Not at the middle between two pixels, where `nearest` depends on rounding.
    positions = np.random.default_rng(seed).integers(-40, 60, (1, 4, 5, 2)) + 0.37
    period = 2 * np.array([width - 1, height - 1] if align_corners else [width, height])
    grid = oracle.grid_of(positions, height, width, align_corners)
    moved = oracle.grid_of(positions + period * times, height, width, align_corners)
    first, again = (plain_sample(images, g, **options) for g in (grid, moved))
    np.testing.assert_allclose(first, again, atol=1e-9)


@given(
    st.sampled_from(INTERPOLATIONS),
    st.booleans(),
    st.sampled_from(["nearest", "reflect"]),
    sizes,
    seeds,
)
def test_the_edge_is_met_from_both_sides(interpolation, align_corners, fill_mode, size, seed):
    options = options_of((interpolation, fill_mode, align_corners), fill_value=-1.5)
    images = random_images(seed, size)
    rows = np.random.default_rng(seed).uniform(-1, 1, 6)
    edges = [
        np.stack([np.full(6, edge), rows], axis=-1)[None, None] for edge in (1 - 1e-9, 1 + 1e-9)
    ]
    if interpolation != "nearest":
        inside, outside = (plain_sample(images, e, **options) for e in edges)
        np.testing.assert_allclose(inside, outside, atol=1e-6)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_random_images_and_grids_against_the_oracle(combination):
    options = options_of(combination, fill_value=-1.5)

    @given(sizes, seeds)
    def check(size, seed):
        images = random_images(seed, size)
        positions = np.random.default_rng(seed).uniform(-4, 12, (1, 2, 3, 2))
        grid = oracle.grid_of(positions, *size, options["align_corners"])
        expected = oracle.sample(images, grid, **options)
        np.testing.assert_allclose(plain_sample(images, grid, **options), expected, atol=1e-10)

    check()
