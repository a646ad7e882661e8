"""What `sample` reads: against a slow oracle, values worked out by hand, and torch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_stn
from tests.support import oracle
from tests.support.oracle import (
    COMBINATIONS,
    FILL_MODES,
    INTERPOLATIONS,
    SUBSET,
    options_of,
    plain_sample,
)

NINE = np.arange(1.0, 10.0).reshape(1, 3, 3, 1)
SIZES = [(5, 4), (4, 5), (1, 6), (7, 1), (1, 1), (2, 2)]


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def everywhere(height, width, align_corners, seed=0):
    """A grid inside, on the edge and outside: (1, 8, 9, 2)."""
    generator = np.random.default_rng(seed)
    inside = generator.uniform(-1, 1, (1, 4, 9, 2))
    around = generator.uniform(-2.5, 2.5, (1, 2, 9, 2))
    edge = np.array([-1.0, 0.0, 1.0])
    edges = np.stack(np.meshgrid(edge, edge), axis=-1).reshape(1, 1, 9, 2)
    far = generator.choice([-1e3, -31.3, 0.1, 55.7, 1e3], (1, 1, 9, 2))
    return np.concatenate([inside, around, edges, far], axis=1)


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_every_combination_reads_what_the_oracle_reads(combination):
    options = options_of(combination, fill_value=-1.5)
    for seed, (height, width) in enumerate(SIZES):
        images = random_images(1, height, width, 3, seed=seed)
        grid = everywhere(height, width, options["align_corners"], seed)
        expected = oracle.sample(images, grid, **options)
        np.testing.assert_allclose(
            plain_sample(images, grid, **options), expected, rtol=1e-11, atol=1e-11
        )


@pytest.mark.parametrize("combination", SUBSET)
def test_compiled_and_plain_read_the_same(combination):
    options = options_of(combination, fill_value=-1.5)
    images, grid = random_images(2, 5, 4, 3), everywhere(5, 4, True).repeat(2, axis=0)
    compiled = keras_stn.sample(images, grid, **options).numpy()
    np.testing.assert_allclose(compiled, plain_sample(images, grid, **options), atol=1e-12)
    np.testing.assert_allclose(compiled, oracle.sample(images, grid, **options), atol=1e-11)


@pytest.mark.parametrize("combination", SUBSET)
def test_float32_reads_what_the_oracle_reads(combination):
    options = options_of(combination)
    images = random_images(2, 6, 7, 3).astype("float32")
    shape = (2, 5, 8)
    grid = oracle.away_from_kinks(shape, 6, 7, options["align_corners"]).astype("float32")
    result = plain_sample(images, grid, **options)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, oracle.sample(images, grid, **options), atol=2e-5)


@pytest.mark.parametrize(
    ("x", "y", "options", "aligned", "not_aligned"),
    [
        (0.5, -0.25, {}, 4.75, 4.625),
        (1.4, 0, {}, 3.6, 0),
        (1.4, 0, {"fill_mode": "nearest"}, 6, 6),
        (1.4, 0, {"fill_mode": "reflect"}, 5.6, 5.9),
        (0.5, -0.25, {"interpolation": "bicubic"}, 5.167847, 5.087976),
        (0.5, -0.25, {"interpolation": "bicubic", "fill_mode": "nearest"}, 4.597656, 4.397949),
    ],
)
def test_golden_points(x, y, options, aligned, not_aligned):
    grid = np.array([[[[x, y]]]], np.float64)
    for align_corners, expected in [(True, aligned), (False, not_aligned)]:
        result = plain_sample(NINE, grid, align_corners=align_corners, **options)
        assert result.item() == pytest.approx(expected, abs=1e-6)
        slow = oracle.sample(NINE, grid, align_corners=align_corners, **options)
        assert slow.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("fill_mode", "align_corners", "row"),
    [
        ("constant", True, [1.5, 2.5, 1.5]),
        ("constant", False, [1.75, 2.75, 0.75]),
        ("reflect", True, [1.5, 2.5, 2.5]),
        ("reflect", False, [1.75, 2.75, 3]),
    ],
)
def test_golden_shift(fill_mode, align_corners, row):
    grid = oracle.base_grid(3, 3, align_corners) + np.array([0.5, 0])
    result = plain_sample(NINE, grid, fill_mode=fill_mode, align_corners=align_corners)
    np.testing.assert_allclose(result[0, 0, :, 0], row, atol=1e-12)


@pytest.mark.parametrize(
    ("align_corners", "expected"), [(True, [1, 3, 7, 9]), (False, [2, 3.5, 6.5, 8])]
)
def test_golden_downsampling(align_corners, expected):
    result = plain_sample(NINE, oracle.base_grid(2, 2, align_corners), align_corners=align_corners)
    np.testing.assert_allclose(result.ravel(), expected, atol=1e-12)


def test_reads_its_image_of_the_batch():
    images = np.stack([NINE[0], NINE[0] * 10, NINE[0] * 100])
    grid = np.zeros((3, 1, 2, 2))
    np.testing.assert_allclose(
        plain_sample(images, grid)[..., 0], [[[5, 5]], [[50, 50]], [[500, 500]]]
    )


def test_nearest_rounds_halves_to_even():
    row = np.arange(5.0).reshape(1, 1, 5, 1)
    positions = np.array([0.5, 1.5, 2.5, 3.5])
    for align_corners in (True, False):
        # Five aligned pixels, and four otherwise, have exact coordinates at the halves.
        image = row if align_corners else row[:, :, :4]
        x = oracle.coordinate_of(positions, image.shape[2], align_corners)
        grid = np.stack([x, x * 0], axis=-1)[None, None]
        options = {"interpolation": "nearest", "fill_mode": "nearest"}
        result = plain_sample(image, grid, align_corners=align_corners, **options)
        expected = [0, 2, 2, 4] if align_corners else [0, 2, 2, 3]
        assert result.ravel().tolist() == expected


def test_constant_fades_in_over_one_pixel():
    image = np.full((1, 1, 3, 1), 2.0)
    positions = np.stack([[-1.5, -1, -0.75, -0.25, 0, 2.5, 3], np.zeros(7)], axis=-1)[None, None]
    grid = oracle.grid_of(positions, 1, 3)
    result = plain_sample(image, grid, fill_value=10.0)
    np.testing.assert_allclose(result.ravel(), [10, 10, 8, 4, 2, 6, 10], atol=1e-12)


def test_constant_masks_corners_one_by_one():
    image = np.full((1, 2, 2, 1), 8.0)
    grid = oracle.grid_of([[[[-0.5, -0.5], [1.5, 0.5], [1.25, 1.25]]]], 2, 2)
    np.testing.assert_allclose(plain_sample(image, grid).ravel(), [2, 4, 4.5], atol=1e-12)


@pytest.mark.parametrize("align_corners", [True, False])
def test_reflect_mirrors_at_the_right_place(align_corners):
    row = np.array([10.0, 11, 12, 13]).reshape(1, 1, 4, 1)
    whole = np.arange(-5.0, 9.0)
    positions = np.stack([whole, whole * 0], axis=-1)[None, None]
    grid = oracle.grid_of(positions, 1, 4, align_corners)
    mode = "reflect" if align_corners else "symmetric"
    expected = np.pad(row.ravel(), (5, 5), mode=mode)
    for interpolation in INTERPOLATIONS:
        options = {"interpolation": interpolation, "fill_mode": "reflect"}
        result = plain_sample(row, grid, align_corners=align_corners, **options)
        np.testing.assert_allclose(result.ravel(), expected, atol=1e-9)


def test_rot90_by_hand():
    image = random_images(1, 4, 4, 3)
    base = oracle.base_grid(4, 4)
    turned = np.stack([-base[..., 1], base[..., 0]], axis=-1)
    np.testing.assert_allclose(
        plain_sample(image, turned)[0], np.rot90(image[0]), rtol=0, atol=1e-14
    )


# --- the identity -------------------------------------------------------------------------------


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_the_identity_returns_the_image_bit_for_bit(interpolation, align_corners):
    options = {"interpolation": interpolation, "align_corners": align_corners}
    for height, width in [
        (1, 1),
        (1, 5),
        (2, 3),
        (9, 16),
        (28, 28),
        (37, 61),
        (224, 97),
        (3, 1024),
    ]:
        images = random_images(1, height, width, 3).astype("float32")
        grid = oracle.base_grid(height, width, align_corners).astype("float32")
        assert np.array_equal(plain_sample(images, grid, **options), images), (height, width)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(("height", "width"), [(28, 28), (13, 97)])
def test_the_compiled_identity_returns_the_image_bit_for_bit(height, width, align_corners):
    images = random_images(1, height, width, 3).astype("float32")
    points = keras_stn.GridGenerator("affine", (height, width), align_corners=align_corners)
    grid = points(np.array([[1, 0, 0, 0, 1, 0]], "float32"))
    assert np.array_equal(keras_stn.sample(images, grid, align_corners=align_corners), images)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_a_nan_pixel_stays_where_it_is_at_the_identity(combination):
    options = options_of(combination)
    images = random_images(1, 7, 6, 3).astype("float32")
    for row, column in [(0, 0), (0, 5), (6, 0), (6, 5), (3, 2)]:
        broken = images.copy()
        broken[0, row, column, 1] = np.nan
        grid = oracle.base_grid(7, 6, options["align_corners"]).astype("float32")
        np.testing.assert_array_equal(plain_sample(broken, grid, **options), broken)


@pytest.mark.parametrize("combination", [c for c in SUBSET if c[1] == "constant"])
def test_a_nan_pixel_stays_where_it_is_compiled(combination):
    options = options_of(combination)
    images = random_images(1, 7, 6, 3).astype("float32")
    images[0, 0, 0] = images[0, 6, 5, 1] = images[0, 3, 2, 0] = np.nan
    grid = oracle.base_grid(7, 6, options["align_corners"]).astype("float32")
    np.testing.assert_array_equal(keras_stn.sample(images, grid, **options), images)


# --- what is outside, not finite, far away ------------------------------------------------------


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("compiled", [False, True])
def test_far_outside_is_exactly_the_fill_value(interpolation, compiled):
    images = np.full((1, 5, 4, 3), np.nan, np.float32)
    far = [3.3, -3.3, 1e3, -1e9, 3e38, -3e38]
    grid = np.array([[[[c, 0.1] for c in far], [[0.1, c] for c in far], [[c, c] for c in far]]])
    options = {"interpolation": interpolation, "fill_value": 0.3}
    read = keras_stn.sample if compiled else plain_sample
    result = np.asarray(read(images, grid.astype("float32"), **options))
    assert np.array_equal(result, np.full_like(result, 0.3))


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_finite_coordinates_of_any_size_are_safe(combination):
    options = options_of(combination)
    images = random_images(1, 5, 4, 3).astype("float32")
    far = np.float32([1e3, 1e6, 1e9, 3e38])
    far = np.concatenate([far, -far])
    grid = np.stack(np.meshgrid(far, far), axis=-1)[None]
    result = plain_sample(images, grid, **options)
    if options["fill_mode"] == "constant":
        assert np.all(result == 0)
    elif options["fill_mode"] == "nearest":
        corner = images[0][np.where(grid[0, ..., 1] > 0, 4, 0), np.where(grid[0, ..., 0] > 0, 3, 0)]
        np.testing.assert_allclose(result[0], corner, atol=1e-6)
    else:
        overshoot = 2.0 if options["interpolation"] == "bicubic" else 1.0
        assert np.abs(result).max() <= overshoot * np.abs(images).max() + 1e-5


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_one_pixel_is_read_from_anywhere(combination):
    options = options_of(combination, fill_value=-1.5)
    images = random_images(1, 1, 1, 3)
    grid = np.array([[[[1e9, -1e9], [3e38, 0], [0.3, -0.2], [0, 0]]]])
    result = plain_sample(images, grid, **options)
    expected = np.broadcast_to(images, result.shape).copy()
    if options["fill_mode"] == "constant" and not options["align_corners"]:
        expected[:, :, :2] = -1.5
        expected[:, :, 2] = oracle.sample(images, grid[:, :, 2:3], **options)[:, :, 0]
    np.testing.assert_allclose(result, expected, atol=1e-12)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_an_undefined_coordinate_gives_nan_for_its_pixel_only(combination):
    options = options_of(combination, fill_value=-1.5)
    images = random_images(2, 5, 4, 3)
    grid = oracle.away_from_kinks((2, 3, 4), 5, 4, options["align_corners"])
    expected = oracle.sample(images, grid, **options)
    undefined = {(0, 0, 0): (np.nan, 0), (0, 2, 1): (0, np.inf), (1, 1, 3): (-np.inf, np.nan)}
    for place, point in undefined.items():
        grid[place] = point
        expected[place] = np.nan
    np.testing.assert_allclose(plain_sample(images, grid, **options), expected, atol=1e-11)


@pytest.mark.parametrize("combination", [c for c in SUBSET if c[0] != "nearest"][:4])
def test_an_undefined_coordinate_compiled(combination):
    options = options_of(combination, fill_value=-1.5)
    images = random_images(2, 5, 4, 3)
    grid = oracle.away_from_kinks((2, 8, 9), 5, 4, options["align_corners"])
    grid[0, 3, 2, 0], grid[1, 5, 6, 1], grid[1, 0, 0, 0] = np.nan, np.inf, 1e300
    result = keras_stn.sample(images, grid, **options).numpy()
    assert np.isnan(result).all(axis=-1).sum() == np.isnan(result).any(axis=-1).sum() == 2
    assert np.isnan(result[0, 3, 2]).all()
    assert np.isnan(result[1, 5, 6]).all()


def test_an_infinite_pixel_does_not_spread_to_its_neighbours():
    images = np.zeros((1, 3, 3, 3))
    images[0, 1, 1] = np.inf
    result = plain_sample(images, oracle.base_grid(3, 3))
    finite = np.ones((3, 3), bool)
    finite[1, 1] = False
    assert np.array_equal(np.isfinite(result[0, ..., 0]), finite)


# --- types and shapes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [("float16", 2e-3), ("bfloat16", 1.6e-2), ("float32", 1e-5), ("float64", 1e-5)],
)
@pytest.mark.parametrize("grid_dtype", ["float32", "float64"])
def test_the_output_has_the_type_of_the_images(dtype, tolerance, grid_dtype):
    images = tf.cast(random_images(1, 5, 4, 3), dtype)
    grid = tf.cast(oracle.away_from_kinks((1, 4, 4), 5, 4, True), grid_dtype)
    result = keras_stn.sample(images, grid)
    assert result.dtype == dtype
    expected = oracle.sample(images.numpy().astype("float64"), grid.numpy())
    np.testing.assert_allclose(
        result.numpy().astype("float64"), expected, rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool"])
def test_integer_images_become_floats(dtype):
    integers = np.random.default_rng(0).integers(0, 200, (1, 5, 4, 3)).astype(dtype)
    grid = oracle.away_from_kinks((1, 4, 4), 5, 4, True).astype("float32")
    result = keras_stn.sample(integers, grid)
    assert result.dtype == keras.config.floatx() == "float32"
    np.testing.assert_allclose(result, oracle.sample(integers, grid), rtol=1e-5, atol=1e-4)


def test_a_float16_grid_is_read_in_float32():
    images = random_images(1, 5, 4, 3).astype("float32")
    grid = np.random.default_rng(0).uniform(-1, 1, (1, 4, 4, 2)).astype("float16")
    np.testing.assert_allclose(
        plain_sample(images, grid), oracle.sample(images, grid), rtol=1e-5, atol=1e-5
    )


def test_a_float64_grid_stays_precise_for_float32_images():
    images = np.array([0, 1e9], np.float32).reshape(1, 1, 2, 1)
    grid = np.array([[[[-1 + 2e-10, 0.0]]]])
    assert plain_sample(images, grid).item() == pytest.approx(0.1, rel=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 3, 17, 40])
def test_channels_are_read_alike(channels):
    images = random_images(1, 5, 4, channels)
    grid = everywhere(5, 4, True)
    result = plain_sample(images, grid, interpolation="bicubic")
    np.testing.assert_allclose(
        result, oracle.sample(images, grid, interpolation="bicubic"), atol=1e-11
    )


def test_channels_first_is_the_transpose():
    images, grid = random_images(2, 5, 4, 3), everywhere(5, 4, True).repeat(2, axis=0)
    first = keras_stn.sample(images.transpose(0, 3, 1, 2), grid, data_format="channels_first")
    assert first.shape == (2, 3, 8, 9)
    np.testing.assert_allclose(first, oracle.sample(images, grid).transpose(0, 3, 1, 2), atol=1e-12)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_an_empty_batch_and_one_pixel(interpolation):
    options = {"interpolation": interpolation}
    empty = np.zeros((0, 5, 4, 3)), np.zeros((0, 2, 2, 2))
    assert plain_sample(*empty, **options).shape == (0, 2, 2, 3)
    images, point = random_images(1, 5, 4, 3), np.array([[[[0.3, -0.4]]]])
    result = plain_sample(images, point, **options)
    np.testing.assert_allclose(result, oracle.sample(images, point, **options), atol=1e-12)


def test_an_empty_batch_compiled():
    result = keras_stn.sample(np.zeros((0, 5, 4, 3), "float32"), np.zeros((0, 2, 3, 2), "float32"))
    assert result.shape == (0, 2, 3, 3)


def test_the_static_shape_is_known_where_it_can_be():
    shapes = []

    @tf.function(
        input_signature=[tf.TensorSpec([None, 5, 4, 3]), tf.TensorSpec([None, 2, 6, 2])],
        autograph=False,
    )
    def compiled(images, grid):
        shapes.append(keras_stn.sample(images, grid).shape.as_list())
        return images

    @tf.function(
        input_signature=[tf.TensorSpec([7, None, None, 3]), tf.TensorSpec([None, None, 6, 2])],
        autograph=False,
    )
    def plain(images, grid):
        shapes.append(keras_stn.sample(images, grid).shape.as_list())
        return images

    compiled.get_concrete_function()
    plain.get_concrete_function()
    assert shapes[0] == [None, 2, 6, 3]
    assert shapes[1][1:] == [None, 6, 3]


def test_the_same_in_graphs_under_xla_and_in_a_data_pipeline():
    images = random_images(2, 5, 4, 3).astype("float32")
    grid = oracle.away_from_kinks((2, 3, 4), 5, 4, True).astype("float32")
    expected = oracle.sample(images, grid)
    graph = tf.function(keras_stn.sample, autograph=False)(images, grid)
    xla = tf.function(keras_stn.sample, autograph=False, jit_compile=True)(images, grid)
    data = tf.data.Dataset.from_tensors((images, grid)).map(keras_stn.sample)
    for result in (graph, xla, next(iter(data))):
        np.testing.assert_allclose(result, expected, atol=1e-5)


# --- torch --------------------------------------------------------------------------------------


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_torch_reads_the_same(combination):
    torch = pytest.importorskip("torch", reason="torch is not installed: no parity test")
    options = options_of(combination, fill_value=-1.5)
    images = random_images(2, 5, 4, 3)
    grid = np.random.default_rng(1).uniform(-3, 3, (2, 6, 7, 2))
    names = {"constant": "zeros", "nearest": "border", "reflect": "reflection"}
    theirs = torch.nn.functional.grid_sample(
        torch.tensor(images.transpose(0, 3, 1, 2)) + 1.5,
        torch.tensor(grid),
        mode=options["interpolation"],
        padding_mode=names[options["fill_mode"]],
        align_corners=options["align_corners"],
    )
    theirs = theirs.numpy().transpose(0, 2, 3, 1) - 1.5
    np.testing.assert_allclose(plain_sample(images, grid, **options), theirs, atol=1e-10)
    np.testing.assert_allclose(oracle.sample(images, grid, **options), theirs, atol=1e-10)


# --- what bad input gets ------------------------------------------------------------------------

IMAGES, GRID = np.zeros((2, 5, 4, 3), "float32"), np.zeros((2, 2, 2, 2), "float32")


@pytest.mark.parametrize(
    ("images", "grid", "words"),
    [
        (IMAGES[0], GRID, [r"\(5, 4, 3\)", r"images\[None\]", "four axes"]),
        (IMAGES[None], GRID, [r"\(1, 2, 5, 4, 3\)", "TimeDistributed", "four axes"]),
        (IMAGES[0, 0], GRID, [r"\(4, 3\)", "four axes"]),
        (IMAGES, GRID[..., :1], [r"\(2, 2, 2, 1\)", "two numbers, x and y", "GridGenerator"]),
        (IMAGES, np.zeros((2, 2, 2, 3), "float32"), [r"\(2, 2, 2, 3\)", "two numbers, x and y"]),
        (IMAGES, GRID[0], [r"\(2, 2, 2\)", "four axes", "GridGenerator"]),
        (IMAGES, GRID[:1], ["2 images and 1 grids", "repeat"]),
        (IMAGES, GRID.astype("int32"), ["floating point", "int32", r"\[-1, 1\]"]),
        (IMAGES, GRID.astype("bool"), ["floating point", "bool"]),
    ],
)
def test_bad_arrays_are_explained(images, grid, words):
    for word in words:
        with pytest.raises(ValueError, match=word):
            keras_stn.sample(images, grid)


def test_a_symbolic_tensor_is_sent_to_the_layer():
    with pytest.raises(ValueError, match=r"KerasTensor.*GridSampler"):
        keras_stn.sample(keras.Input((5, 4, 3)), GRID)
    with pytest.raises(ValueError, match=r"KerasTensor.*GridSampler"):
        keras_stn.sample(IMAGES, keras.Input((2, 2, 2)))


@pytest.mark.parametrize("broken", ["images", "grid"])
def test_an_unknown_rank_is_explained(broken):
    unknown, images, grid = (
        tf.TensorSpec(None),
        tf.TensorSpec(IMAGES.shape),
        tf.TensorSpec(GRID.shape),
    )
    signature = [unknown, grid] if broken == "images" else [images, unknown]
    function = tf.function(keras_stn.sample, input_signature=signature, autograph=False)
    with pytest.raises(ValueError, match=r"four axes.*unknown"):
        function.get_concrete_function()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fill_mode": "zeros"}, ["'zeros' is here constant with fill_value=0.0"]),
        ({"fill_mode": "border"}, ["'border' is here nearest"]),
        ({"fill_mode": "edge"}, ["'edge' is here nearest"]),
        ({"fill_mode": "reflection"}, ["'reflection' is here reflect"]),
        ({"fill_mode": "Reflection"}, ["'Reflection' is here reflect"]),
        ({"fill_mode": "mirror"}, ["reflect with align_corners=True", "'mirror'"]),
        ({"fill_mode": "wrap"}, ["doesn't repeat", "'wrap'"]),
        ({"fill_mode": "bilinear"}, ["fill_mode", "interpolation='bilinear'"]),
        ({"fill_mode": "bicubic"}, ["fill_mode", "interpolation='bicubic'"]),
        ({"fill_mode": "constnat"}, ["Did you mean 'constant'"]),
        ({"fill_mode": "purple"}, ["'constant', 'nearest', 'reflect'", "'purple'"]),
        ({"fill_mode": None}, ["'constant', 'nearest', 'reflect'", "None"]),
        ({"interpolation": "reflect"}, ["interpolation", "fill_mode='reflect'"]),
        ({"interpolation": "constant"}, ["interpolation", "fill_mode='constant'"]),
        ({"interpolation": "cubic"}, ["'cubic' is here bicubic"]),
        ({"interpolation": "linear"}, ["'linear' is here bilinear"]),
        ({"interpolation": "bilinaer"}, ["Did you mean 'bilinear'", "'bilinaer'"]),
        ({"interpolation": 3}, ["'nearest', 'bilinear', 'bicubic'", "3"]),
        ({"fill_value": float("nan")}, ["fill_value must be a finite number", "nan"]),
        ({"fill_value": float("inf")}, ["fill_value must be a finite number", "inf"]),
        ({"fill_value": "0"}, ["fill_value must be a finite number", "'0'"]),
        ({"fill_value": None}, ["fill_value must be a finite number", "None"]),
        ({"data_format": "channels_frist"}, ["data_format", "Did you mean 'channels_first'"]),
    ],
)
def test_bad_options_are_explained(options, words):
    for word in words:
        with pytest.raises(ValueError, match=word):
            keras_stn.sample(IMAGES, GRID, **options)


def test_nearest_means_two_things():
    result = plain_sample(
        NINE, np.array([[[[1.4, 0.1]]]]), interpolation="nearest", fill_mode="nearest"
    )
    assert result.item() == 6


@pytest.mark.parametrize("fill_mode", FILL_MODES)
def test_numpy_numbers_are_fill_values(fill_mode):
    options = {"fill_mode": fill_mode, "fill_value": np.float32(2)}
    assert plain_sample(NINE, np.zeros((1, 1, 1, 2)), **options).item() == 5
