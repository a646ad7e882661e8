"""Every derivative of `sample`: against an oracle, finite differences, values by hand, torch."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import keras_stn
from keras_stn import sampler
from keras_stn.interpolation import Options
from tests.support import oracle
from tests.support.oracle import (
    COMBINATIONS,
    COMPILED,
    SUBSET,
    options_of,
    plain_gradients,
    plain_sample,
)

SMOOTH = [c for c in SUBSET if c[0] != "nearest"]


def random_arrays(align_corners=True, channels=3, seed=0):
    """Images (2, 5, 4, C), a grid (2, 3, 4, 2) away from kinks, and an upstream gradient."""
    generator = np.random.default_rng(seed)
    grid = oracle.away_from_kinks((2, 3, 4), 5, 4, align_corners, seed=seed)
    images = generator.normal(size=(2, 5, 4, channels))
    return images, grid, generator.normal(size=(2, 3, 4, channels))


def slow_gradients(images, grid, upstream, **options):
    """The gradients of <upstream, sample>: the linear map itself, and finite differences."""
    batch, height, width, channels = images.shape
    linear = {**options, "fill_value": 0.0}
    weights = oracle.read_weights(grid, height, width, **linear)
    by_images = np.einsum("pbhw,bhwc->bpc", weights, upstream)
    by_grid = np.zeros(grid.shape)
    step = 1e-6
    for axis in (0, 1):
        moved = np.eye(2)[axis] * step
        after = oracle.sample(images, grid + moved, **options)
        before = oracle.sample(images, grid - moved, **options)
        by_grid[..., axis] = (upstream * (after - before)).sum(axis=-1) / (2 * step)
    return by_images.reshape(batch, height, width, channels), by_grid


# --- first derivatives --------------------------------------------------------------------------


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_gradients_are_those_of_the_oracle(combination):
    options = options_of(combination, fill_value=-1.5)
    arrays = random_arrays(options["align_corners"])
    value, by_images, by_grid = plain_gradients(*arrays, **options)
    expected_by_images, expected_by_grid = slow_gradients(*arrays, **options)
    np.testing.assert_allclose(value, oracle.sample(*arrays[:2], **options), atol=1e-11)
    np.testing.assert_allclose(by_images, expected_by_images, atol=1e-11)
    np.testing.assert_allclose(by_grid, expected_by_grid, atol=1e-6)
    assert np.any(by_grid) == (options["interpolation"] != "nearest")


@pytest.mark.parametrize("combination", COMPILED)
def test_compiled_gradients_are_the_plain_ones(combination):
    options = options_of(combination, fill_value=-1.5)
    images, grid, upstream = random_arrays(options["align_corners"])
    grid[0, 0, 0, 0] = np.nan
    for ours, plain in zip(
        oracle.sample_gradients(images, grid, upstream, **options),
        plain_gradients(images, grid, upstream, **options),
        strict=True,
    ):
        np.testing.assert_allclose(ours, plain, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("interpolation", "channels"),
    [("bilinear", 1), ("bilinear", 17), ("bilinear", 40), ("bicubic", 1)],
)
def test_gradients_of_few_and_of_many_channels(channels, interpolation):
    options = {"interpolation": interpolation, "fill_value": -1.5}
    arrays = random_arrays(channels=channels)
    _, by_images, by_grid = plain_gradients(*arrays, **options)
    expected_by_images, expected_by_grid = slow_gradients(*arrays, **options)
    np.testing.assert_allclose(by_images, expected_by_images, atol=1e-11)
    np.testing.assert_allclose(by_grid, expected_by_grid, atol=1e-6)


@pytest.mark.parametrize("channels", [3, 17])
def test_compiled_gradients_of_few_and_of_many_channels(channels):
    arrays = random_arrays(channels=channels)
    expected = slow_gradients(*arrays)
    for ours, theirs in zip(oracle.sample_gradients(*arrays)[1:], expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_an_unknown_number_of_channels():
    arrays = random_arrays()
    unknown = [tf.TensorSpec([None, None, None, last], tf.float64) for last in (None, 2, None)]
    function = tf.function(oracle.sample_gradients, input_signature=unknown, autograph=False)
    for ours, known in zip(function(*arrays), plain_gradients(*arrays), strict=True):
        np.testing.assert_allclose(ours, known, atol=1e-12)


@pytest.mark.parametrize("combination", [("bilinear", *c[1:]) for c in COMBINATIONS[:6]])
@pytest.mark.parametrize("size", [(1, 6), (7, 1), (1, 1), (2, 2)])
def test_gradients_on_small_axes(size, combination):
    options = options_of(combination, fill_value=-1.5)
    generator = np.random.default_rng(0)
    images, upstream = generator.normal(size=(1, *size, 3)), generator.normal(size=(1, 3, 4, 3))
    grid = oracle.away_from_kinks((1, 3, 4), *size, options["align_corners"])
    expected_by_images, expected_by_grid = slow_gradients(images, grid, upstream, **options)
    _, by_images, by_grid = plain_gradients(images, grid, upstream, **options)
    np.testing.assert_allclose(by_images, expected_by_images, atol=1e-11)
    np.testing.assert_allclose(by_grid, expected_by_grid, atol=1e-6)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_the_image_gradient_is_the_adjoint(combination):
    # <J v, u> = <v, J' u>, on the edge and at whole pixels, too.
    options = options_of(combination, fill_value=-1.5)
    generator = np.random.default_rng(3)
    images, upstream = generator.normal(size=(2, 9, 7, 3)), generator.normal(size=(2, 6, 8, 3))
    grid = generator.uniform(-1.5, 1.5, (2, 6, 8, 2))
    grid[:, :3, :7] = oracle.base_grid(9, 7, options["align_corners"])[:, ::4]
    value, by_images, _ = plain_gradients(images, grid, upstream, **options)
    constant = plain_sample(np.zeros_like(images), grid, **options)
    left, right = np.vdot(value - constant, upstream), np.vdot(images, by_images)
    assert left == pytest.approx(right, rel=1e-12)


@pytest.mark.parametrize("align_corners", [True, False])
def test_at_the_identity_the_slope_is_the_forward_difference(align_corners):
    height, width = oracle.exact_size(align_corners)
    images = np.random.default_rng(0).normal(size=(1, height, width, 3))
    grid = oracle.base_grid(height, width, align_corners)
    options = {"align_corners": align_corners, "fill_value": -1.5}
    _, _, by_grid = plain_gradients(images, grid, np.ones(images.shape), **options)
    beyond = np.pad(images[0], [(0, 1), (0, 1), (0, 0)], constant_values=-1.5)
    right = (beyond[:-1, 1:] - beyond[:-1, :-1]).sum(axis=-1)
    down = (beyond[1:, :-1] - beyond[:-1, :-1]).sum(axis=-1)
    pixels_per_unit = np.array([8, 4]) / 2  # both for 5x9 aligned pixels and for 4x8 others
    expected = np.stack([right, down], axis=-1) * pixels_per_unit
    np.testing.assert_allclose(by_grid[0], expected, atol=1e-12)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("size", [(28, 28), (13, 7)])
def test_at_the_identity_of_any_size_the_slope_is_a_neighbour_s_difference(size, align_corners):
    # Where a pixel's coordinate is rounded, it is the one to the right or the one to the left.
    images = np.random.default_rng(0).normal(size=(1, *size, 3))
    upstream = np.ones(images.shape)
    grid = oracle.base_grid(*size, align_corners)
    _, _, by_grid = plain_gradients(images, grid, upstream, align_corners=align_corners)
    beyond = np.pad(images[0].sum(axis=-1), 1)
    per_unit = (np.array(size) - 1 if align_corners else np.array(size)) / 2
    for axis, slope in [(1, by_grid[0, ..., 0]), (0, by_grid[0, ..., 1])]:
        steps = np.diff(beyond, axis=axis) * per_unit[axis]
        steps = steps[1:-1] if axis == 1 else steps[:, 1:-1]
        before = np.delete(steps, -1, axis=axis)
        after = np.delete(steps, 0, axis=axis)
        assert np.all(np.isclose(slope, before) | np.isclose(slope, after))


def test_the_compiled_slope_does_not_vanish_at_the_identity():
    images = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
    grid = oracle.base_grid(3, 3).astype("float32")
    _, _, by_grid = oracle.sample_gradients(images, grid, np.ones_like(images))
    # To the right the image rises by 1, downwards by 3, and a pixel is one unit wide.
    np.testing.assert_allclose(by_grid[0, :2, :2], np.broadcast_to([1.0, 3.0], (2, 2, 2)))


def row_slopes(row, positions, **options):
    """The grid's gradient along x, in pixels, of an image of one row."""
    size = len(row)
    aligned = options.setdefault("align_corners", True)
    image = np.reshape(np.array(row, np.float64), (1, 1, size, 1)).repeat(3, axis=3)
    points = np.stack([positions, np.zeros(len(positions))], axis=-1)[None, None]
    grid = oracle.grid_of(points, 1, size, aligned)
    upstream = np.zeros((1, 1, len(positions), 3))
    upstream[..., 0] = 1
    _, _, by_grid = plain_gradients(image, grid, upstream, fill_value=-1.5, **options)
    return by_grid[0, 0, :, 0] / ((size - 1 if aligned else size) / 2)


@pytest.mark.parametrize("align_corners", [True, False])
def test_slopes_at_and_beyond_the_edge(align_corners):
    row, options = [0, 1, 4, 9], {"align_corners": align_corners}
    positions = [-7.3, -0.25, 0, 0.5, 2.5, 3, 3.25, 40]
    slopes = row_slopes(row, positions, fill_mode="nearest", **options)
    np.testing.assert_allclose(slopes, [0, 0, 0, 1, 5, 0, 0, 0], atol=1e-11)
    # A reflection turns the direction round; on a mirror, or where it clips, the slope is zero.
    if align_corners:
        positions, expected = [-2.5, -0.25, 0, 1, 3, 3.25, 4.5, 6.5], [-5, -1, 0, 3, 0, -5, -3, 1]
    else:
        positions, expected = [-1.75, -1.25, -0.25, 0, 1, 3, 3.25, 4.5], [-1, -1, 0, 0, 3, 0, 0, -5]
    slopes = row_slopes(row, positions, fill_mode="reflect", **options)
    np.testing.assert_allclose(slopes, expected, atol=1e-11)


def test_bicubic_slopes_vanish_two_pixels_beyond_the_edge():
    slopes = row_slopes(
        [0, 1, 4, 9], [-30, -2.5, -1.2, 4.2, 50], interpolation="bicubic", fill_mode="nearest"
    )
    np.testing.assert_allclose(slopes, 0, atol=1e-12)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_torch_has_the_same_gradients(combination):
    torch = pytest.importorskip("torch", reason="torch is not installed: no parity test")
    options = options_of(combination, fill_value=-1.5)
    generator = np.random.default_rng(1)
    height, width = oracle.exact_size(options["align_corners"])
    images = generator.normal(size=(2, height, width, 3))
    upstream = generator.normal(size=(2, height + 2, width, 3))
    grid = generator.uniform(-3, 3, (2, height + 2, width, 2))
    if options["interpolation"] != "bicubic":
        # Whole pixels, the edge and the corners, where a gradient is a choice.
        grid[:, :height] = oracle.base_grid(height, width, options["align_corners"])
    theirs_images = torch.tensor(images.transpose(0, 3, 1, 2), requires_grad=True)
    theirs_grid = torch.tensor(grid, requires_grad=True)
    names = {"constant": "zeros", "nearest": "border", "reflect": "reflection"}
    theirs = torch.nn.functional.grid_sample(
        theirs_images + 1.5,
        theirs_grid,
        mode=options["interpolation"],
        padding_mode=names[options["fill_mode"]],
        align_corners=options["align_corners"],
    )
    theirs.backward(torch.tensor(upstream.transpose(0, 3, 1, 2)))
    _, by_images, by_grid = plain_gradients(images, grid, upstream, **options)
    np.testing.assert_allclose(
        by_images, theirs_images.grad.numpy().transpose(0, 2, 3, 1), atol=1e-10
    )
    np.testing.assert_allclose(by_grid, theirs_grid.grad.numpy(), atol=1e-10)


# --- what is not finite -------------------------------------------------------------------------


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_undefined_coordinates_have_no_gradient(combination):
    options = options_of(combination, fill_value=-1.5)
    images, grid, upstream = random_arrays(options["align_corners"])
    without = upstream.copy()
    for place, point in {
        (0, 0, 0): (np.nan, 0),
        (0, 2, 1): (0, np.inf),
        (1, 1, 3): -np.inf,
    }.items():
        grid[place] = point
        upstream[place] = np.nan
        without[place] = 0
    _, by_images, by_grid = plain_gradients(images, grid, upstream, **options)
    known = np.where(np.isfinite(grid).all(axis=-1, keepdims=True), grid, 1e6)
    _, expected_by_images, expected_by_grid = plain_gradients(images, known, without, **options)
    np.testing.assert_allclose(by_images, expected_by_images, atol=1e-11)
    assert not by_grid[~np.isfinite(grid).all(axis=-1)].any()
    np.testing.assert_allclose(by_grid, expected_by_grid, atol=1e-11)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_what_is_not_read_has_no_part_in_a_gradient(interpolation):
    options = {"interpolation": interpolation, "fill_value": -1.5}
    images, far = np.full((2, 5, 4, 3), np.nan), np.full((2, 3, 4, 2), -40.0)
    far[0, 0] = 3e300
    upstream = np.full((2, 3, 4, 3), np.nan)
    for gradient in plain_gradients(images, far, upstream, **options)[1:]:
        assert not gradient.any()


def test_a_nan_upstream_reaches_what_was_read_there_only():
    images, grid = np.ones((1, 5, 5, 3)), oracle.base_grid(5, 5)
    upstream = np.ones((1, 5, 5, 3))
    upstream[0, 2, 2, 0] = np.nan
    _, by_images, by_grid = plain_gradients(images, grid, upstream)
    # The pixel itself; of the others at most those to the right and below, whose weight is zero.
    assert np.isnan(by_images[0, 2, 2, 0])
    assert np.isfinite(by_images[0, :2]).all()
    assert np.isfinite(by_images[0, :, :2]).all()
    assert np.isfinite(np.delete(by_grid.reshape(25, 2), 12, axis=0)).all()


@pytest.mark.parametrize("combination", SUBSET)
def test_gradients_far_away_are_finite(combination):
    options = options_of(combination, fill_value=-1.5)
    far = np.array([1e3, 1e9, 1e38, 1e300])
    far = np.concatenate([far, -far])
    grid = np.stack(np.meshgrid(far, far), axis=-1)[None]
    images, upstream = random_arrays()[0][:1], np.ones((1, 8, 8, 3))
    _, by_images, by_grid = plain_gradients(images, grid, upstream, **options)
    assert np.isfinite(by_images).all()
    assert np.isfinite(by_grid).all()
    if options["fill_mode"] == "constant":
        assert not by_images.any()
    if options["fill_mode"] != "reflect":
        assert not by_grid.any()


# --- types and shapes ---------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 1e-2), ("bfloat16", 8e-2)])
def test_gradients_in_half_precision(dtype, tolerance):
    images, grid, upstream = random_arrays()
    images, upstream = tf.cast(images, dtype), tf.cast(upstream, dtype)
    grid = grid.astype("float32")
    _, by_images, by_grid = oracle.sample_gradients(images, grid, upstream)
    assert (by_images.dtype, by_grid.dtype) == (dtype, "float32")
    exact = [a.numpy().astype("float64") for a in (images, upstream)]
    expected = slow_gradients(exact[0], grid.astype("float64"), exact[1])
    for ours, theirs in zip((by_images, by_grid), expected, strict=True):
        np.testing.assert_allclose(ours.numpy().astype("float64"), theirs, tolerance, tolerance)


def test_integer_images_leave_the_grid_its_gradient():
    images = np.arange(20).reshape(1, 5, 4, 1)
    grid = tf.constant(oracle.grid_of([[[[1.5, 2.25], [0.25, 3.5]]]], 5, 4), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(grid)
        value = keras_stn.sample(images, grid)
    # One pixel to the right adds 1, one down 4; a unit is 1.5 pixels wide and 2 high.
    np.testing.assert_allclose(value[0, 0, :, 0], [10.5, 14.25], atol=1e-5)
    np.testing.assert_allclose(tape.gradient(value, grid)[0, 0], [[1.5, 8], [1.5, 8]], atol=1e-5)


def test_a_float16_grid_gets_a_float16_gradient():
    images, grid, upstream = random_arrays()
    grid = grid.astype("float16")
    images, upstream = images.astype("float32"), upstream.astype("float32")
    _, _, by_grid = plain_gradients(images, grid, upstream)
    assert by_grid.dtype == np.float16


def test_channels_first_gradients_are_the_transpose():
    images, grid, upstream = random_arrays()
    first, last = (0, 3, 1, 2), (0, 2, 3, 1)
    turned = images.transpose(first), grid, upstream.transpose(first)
    _, by_images, by_grid = oracle.sample_gradients(*turned, data_format="channels_first")
    expected_by_images, expected_by_grid = slow_gradients(images, grid, upstream)
    np.testing.assert_allclose(by_images.numpy().transpose(last), expected_by_images, atol=1e-11)
    np.testing.assert_allclose(by_grid, expected_by_grid, atol=1e-6)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_gradients_of_an_empty_batch_and_of_one_pixel(interpolation):
    options = {"interpolation": interpolation, "fill_value": -1.5}
    empty = [np.zeros((0, *shape)) for shape in [(5, 4, 3), (2, 3, 2), (2, 3, 3)]]
    shapes = [r.shape for r in plain_gradients(*empty, **options)]
    assert shapes == [(0, 2, 3, 3), (0, 5, 4, 3), (0, 2, 3, 2)]
    images, grid, upstream = random_arrays()
    one = images[:1], grid[:1, :1, :1], upstream[:1, :1, :1]
    expected = slow_gradients(*one, **options)
    for ours, theirs in zip(plain_gradients(*one, **options)[1:], expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


# --- higher derivatives -------------------------------------------------------------------------


def gradients_of_slope(images, grid, upstream, weights, **options):
    """The gradients of <weights, d<upstream, sample> / dgrid>."""
    with tf.GradientTape() as outer:
        outer.watch((images, grid, upstream))
        with tf.GradientTape() as inner:
            inner.watch(grid)
            value = keras_stn.sample(images, grid, **options)
        slope = inner.gradient(value, grid, upstream)
    return outer.gradient(slope, (images, grid, upstream), weights)


def gradients_of_spread(images, grid, upstream, weights, **options):
    """The gradients of <weights, d<upstream, sample> / dimages>."""
    with tf.GradientTape() as outer:
        outer.watch((images, grid, upstream))
        with tf.GradientTape() as inner:
            inner.watch(images)
            value = keras_stn.sample(images, grid, **options)
        spread = inner.gradient(value, images, upstream)
    zero = tf.UnconnectedGradients.ZERO
    return outer.gradient(spread, (images, grid, upstream), weights, unconnected_gradients=zero)


def plain(function, **options):
    spec = [tf.TensorSpec([None, None, None, 3], tf.float64)] * 3
    spec.insert(1, tf.TensorSpec([None, None, None, 2], tf.float64))
    if function is gradients_of_slope:
        spec[3] = spec[1]
    return tf.function(lambda *a: function(*a, **options), input_signature=spec, autograph=False)


@pytest.mark.parametrize(
    ("function", "combination"),
    [
        *itertools.product([gradients_of_slope, gradients_of_spread], SMOOTH[:3]),
        # Each takes seconds to trace.
        pytest.param(gradients_of_slope, ("bicubic", "constant", True), marks=pytest.mark.slow),
        pytest.param(gradients_of_slope, ("bicubic", "reflect", False), marks=pytest.mark.slow),
        (gradients_of_spread, ("bicubic", "nearest", True)),
    ],
)
def test_second_derivatives_are_those_of_the_first(function, combination):
    options = options_of(combination, fill_value=-1.5)
    arrays = random_arrays(options["align_corners"])
    generator = np.random.default_rng(9)
    which = 2 if function is gradients_of_slope else 1
    weights = generator.normal(size=arrays[which - 1].shape)
    second = [g.numpy() for g in plain(function, **options)(*arrays, weights)]
    step = 1e-6
    for position, gradient in enumerate(second):
        direction = generator.normal(size=gradient.shape)
        moved = [list(arrays), list(arrays)]
        for sign, one in zip((-step, step), moved, strict=True):
            one[position] = arrays[position] + sign * direction
        before, after = (np.vdot(plain_gradients(*m, **options)[which], weights) for m in moved)
        expected = (after - before) / (2 * step)
        assert np.vdot(gradient, direction) == pytest.approx(expected, rel=1e-6, abs=1e-6), position
    # The image's gradient does not depend on the image.
    assert [bool(np.any(g)) for g in second] == [function is gradients_of_slope, True, True]


@pytest.mark.slow  # XLA compiles each of them
def test_compiled_second_derivatives_are_the_plain_ones():
    arrays = random_arrays()
    weights = np.random.default_rng(9).normal(size=(2, 3, 4, 2))
    ours = gradients_of_slope(*(tf.constant(a) for a in (*arrays, weights)))
    for compiled, expected in zip(ours, plain(gradients_of_slope)(*arrays, weights), strict=True):
        np.testing.assert_allclose(compiled, expected, atol=1e-11)


@pytest.mark.slow  # takes ten seconds to trace
def test_the_third_derivative_of_bicubic():
    image = np.random.default_rng(0).normal(size=(1, 1, 6, 1))
    positions = np.array([0.5, 1.5, 2.5, 4.5, 5.5, -1.5])
    points = np.stack([positions, positions * 0], axis=-1)[None, None]

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 2], tf.float64)])
    def derivatives(grid):
        images = tf.constant(image)
        with tf.GradientTape() as third:
            third.watch(grid)
            with tf.GradientTape() as second:
                second.watch(grid)
                with tf.GradientTape() as first:
                    first.watch(grid)
                    value = keras_stn.sample(images, grid, "bicubic")
                slope = first.gradient(value, grid)[..., 0]
            bend = second.gradient(slope, grid)[..., 0]
        return slope, bend, third.gradient(bend, grid)[..., 0]

    def read(offset):
        moved = oracle.grid_of(points + np.array([offset, 0]), 1, 6)
        return oracle.sample(image, moved, interpolation="bicubic")[0, 0, :, 0]

    # Between two pixels the result is a cubic, whose third differences are exact whatever the step.
    step, pixels_per_unit = 0.2, 2.5
    second = read(step) - 2 * read(0) + read(-step)
    third = read(1.5 * step) - 3 * read(0.5 * step) + 3 * read(-0.5 * step) - read(-1.5 * step)
    found = derivatives(oracle.grid_of(points, 1, 6))
    np.testing.assert_allclose(found[1][0, 0], second * (pixels_per_unit / step) ** 2, atol=1e-9)
    np.testing.assert_allclose(found[2][0, 0], third * (pixels_per_unit / step) ** 3, atol=1e-9)


@pytest.mark.parametrize(("interpolation", "highest"), [("bilinear", 1), ("bicubic", 3)])
def test_beyond_the_highest_derivative_all_are_zero(interpolation, highest):
    images, grid, upstream = random_arrays(channels=1)
    options = Options(interpolation, "constant", 0.0, True, order=(highest, 0))
    spec = [tf.TensorSpec([None, None, None, last], tf.float64) for last in (1, 2, 1)]
    slope = tf.function(lambda *a: sampler.slope(*a, options), input_signature=spec)
    by_x, by_y = tf.unstack(slope(images, grid, upstream), axis=-1)
    assert not np.any(by_x)
    assert np.any(by_y)


@pytest.mark.parametrize("graph", [False, True])
def test_jacobians_of_a_persistent_tape(graph):
    images, grid, _ = random_arrays(channels=1)
    images, grid = images[:, :3, :3], np.random.default_rng(0).uniform(-0.9, 0.9, (2, 2, 2, 2))

    def jacobians(images, grid):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch((images, grid))
            value = keras_stn.sample(images, grid)
        return tape.jacobian(value, images), tape.jacobian(value, grid)

    function = tf.function(jacobians, autograph=False) if graph else jacobians
    by_images, by_grid = (j.numpy() for j in function(tf.constant(images), tf.constant(grid)))
    weights = oracle.read_weights(grid, 3, 3).reshape(3, 3, 2, 2, 2)
    expected = np.zeros((2, 2, 2, 2, 3, 3))
    for image in range(2):
        expected[image, :, :, image] = weights[:, :, image].transpose(2, 3, 0, 1)
    np.testing.assert_allclose(by_images[:, :, :, 0, :, :, :, 0], expected, atol=1e-12)
    expected = np.zeros((2, 2, 2, 2, 2, 2, 2))
    for place in itertools.product(range(2), repeat=3):
        upstream = np.zeros((2, 2, 2, 1))
        upstream[place] = 1
        expected[place] = slow_gradients(images, grid, upstream)[1]
    np.testing.assert_allclose(by_grid[:, :, :, 0], expected, atol=1e-6)


# --- nobody pays for a gradient that nobody asked for -------------------------------------------


@pytest.fixture
def runs(monkeypatch):
    """The names of the kernels that ran, in order."""
    names, run = [], sampler._run

    def counted(kernel, *arrays, options):
        names.append(kernel.__name__)
        return run(kernel, *arrays, options=options)

    monkeypatch.setattr(sampler, "_run", counted)
    return names


@pytest.mark.parametrize(
    ("watched", "expected"),
    [
        ("", ["read"]),
        ("grid", ["read", "slope"]),
        ("both", ["read", "slope", "spread"]),
    ],
)
def test_eagerly_only_the_gradient_of_what_is_watched_is_computed(watched, expected, runs):
    images, grid, _ = (tf.constant(a, tf.float32) for a in random_arrays())
    with tf.GradientTape() as tape:
        tape.watch({"": [], "grid": [grid], "both": [images, grid]}[watched])
        value = keras_stn.sample(images, grid)
    tape.gradient(value, (images, grid))
    assert sorted(runs) == expected


def kernels_reached(concrete):
    """The compiled kernels from which the results of a graph follow: the rest never runs."""
    found, seen = set(), set()
    waiting = [tensor.op for tensor in concrete.graph.outputs]
    waiting += [getattr(end, "op", end) for end in concrete.graph.control_outputs]
    while waiting:
        op = waiting.pop()
        if op.name in seen:
            continue
        seen.add(op.name)
        waiting += [t.op for t in op.inputs] + list(op.control_inputs)
        if op.type in {"PartitionedCall", "StatefulPartitionedCall"}:
            called = op.get_attr("f").name
            found |= {k for k in ("read", "slope", "spread") if f"keras_stn_{k}" in called}
    return found


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("grid", {"read", "slope"}),
        ("images", {"read", "spread"}),
        ("both", {"read", "slope", "spread"}),
    ],
)
def test_a_graph_computes_only_the_gradient_that_is_used(wanted, expected):
    @tf.function(autograph=False)
    def gradients(images, grid):
        value, by_images, by_grid = oracle.sample_gradients(images, grid, tf.ones([2, 3, 4, 3]))
        return value, {"grid": by_grid, "images": by_images, "both": (by_images, by_grid)}[wanted]

    images, grid, _ = (tf.constant(a, tf.float32) for a in random_arrays())
    assert kernels_reached(gradients.get_concrete_function(images, grid)) == expected


def test_a_graph_where_images_are_not_watched_has_no_image_gradient_at_all():
    @tf.function(autograph=False)
    def gradient(images, grid):
        with tf.GradientTape() as tape:
            tape.watch(grid)
            value = keras_stn.sample(images, grid)
        return tape.gradient(value, grid)

    images, grid, _ = (tf.constant(a, tf.float32) for a in random_arrays())
    graph = gradient.get_concrete_function(images, grid).graph.as_graph_def(add_shapes=False)
    called = [node.attr["f"].func.name for node in graph.node if "f" in node.attr]
    assert any("keras_stn_slope" in name for name in called)
    assert not any("keras_stn_spread" in name for name in called)


def test_options_whose_derivative_vanishes_need_no_kernel(runs):
    images, grid, upstream = (tf.constant(a, tf.float32) for a in random_arrays())
    _, by_images, by_grid = oracle.sample_gradients(images, grid, upstream, interpolation="nearest")
    assert not np.any(by_grid)
    assert np.any(by_images)
    assert sorted(runs) == ["read", "spread"]
