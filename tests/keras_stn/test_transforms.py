"""The families: their matrices by hand, their inverses, the spline against a solver of its own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_stn
from keras_stn import inverse, transforms
from keras_stn.coordinates import base_grid
from keras_stn.inverse import inverse_points
from keras_stn.transforms import FAMILIES, ThinPlateSpline
from tests.support import oracle

WITH_MATRIX = [name for name in FAMILIES if name != "tps"]
C, S = np.cos(0.3), np.sin(0.3)

EXAMPLES = {
    "translation": ([0.25, -0.5], [[1, 0, 0.25], [0, 1, -0.5]]),
    "scale": ([2, 0.5], [[2, 0, 0], [0, 0.5, 0]]),
    "rotation": ([0.3], [[C, -S, 0], [S, C, 0]]),
    "rigid": ([0.3, 0.25, -0.5], [[C, -S, 0.25], [S, C, -0.5]]),
    "similarity": ([2, 0.3, 0.25, -0.5], [[2 * C, -2 * S, 0.25], [2 * S, 2 * C, -0.5]]),
    "attention": ([0.5, 0.25, -0.5], [[0.5, 0, 0.25], [0, 0.5, -0.5]]),
    "affine": ([1, 2, 3, 4, 5.5, 6], [[1, 2, 3], [4, 5.5, 6]]),
    "projective": ([1, 0.2, 0.3, 0.4, 1.5, 0.6, 0.1, 0.2], [[1, 0.2, 0.3], [0.4, 1.5, 0.6]]),
}
"""Family -> theta, and the first two rows of its matrix."""


def family_and_theta(name, dtype="float64"):
    """A family and two of its thetas, the example and one close to the identity."""
    family = transforms.get(name)
    wobble = np.random.default_rng(0).normal(scale=0.05, size=family.num_params)
    example = EXAMPLES[name][0] if name in EXAMPLES else family.identity - wobble
    return family, np.array([example, family.identity + wobble], dtype)


def points_of(height=4, width=5, dtype="float64"):
    return oracle.base_grid(height, width)[0].astype(dtype)


def transformed(matrix, points):
    """3x3 matrix and points, one by one."""
    result = np.zeros(points.shape)
    for place in np.ndindex(*points.shape[:2]):
        u, v, w = matrix @ [*points[place], 1]
        result[place] = u / w, v / w
    return result


# --- what each family does ----------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_MATRIX)
def test_matrix_by_hand(name):
    theta, rows = EXAMPLES[name]
    last = [0.1, 0.2, 1] if name == "projective" else [0, 0, 1]
    matrix = transforms.get(name).matrix(tf.constant([theta], tf.float64))
    np.testing.assert_allclose(matrix, [[*rows, last]], atol=1e-15)
    assert transforms.get(name).num_params == len(theta)


@pytest.mark.parametrize("name", WITH_MATRIX)
def test_the_grid_is_the_matrix_applied_to_each_point(name):
    family, theta = family_and_theta(name)
    points = points_of()
    grid = family.grid(tf.constant(theta), tf.constant(points))
    assert grid.shape == (2, 4, 5, 2)
    for row, matrix in enumerate(family.matrix(tf.constant(theta)).numpy()):
        np.testing.assert_allclose(grid[row], transformed(matrix, points), atol=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_identity_leaves_points_where_they_are(name, dtype):
    family = transforms.get(name)
    assert family.identity.dtype == np.float32
    assert family.identity.shape == (family.num_params,)
    theta = tf.cast(family.identity[None], dtype)
    points = points_of(dtype=dtype)
    grid = family.grid(theta, tf.constant(points))
    assert grid.dtype == dtype
    tolerance = 1e-6 if name == "tps" else 0
    np.testing.assert_allclose(grid[0], points, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", ["rotation", "rigid", "similarity"])
def test_a_quarter_turn_is_rot90(name):
    theta = {"rotation": [0], "rigid": [0, 0, 0], "similarity": [1, 0, 0, 0]}[name]
    theta = np.array([theta], np.float64)
    theta[0, 1 if name == "similarity" else 0] = np.pi / 2
    image = np.random.default_rng(0).normal(size=(1, 5, 5, 1))
    grid = transforms.get(name).grid(tf.constant(theta), tf.constant(points_of(5, 5)))
    turned = oracle.plain_sample(image, grid.numpy())
    np.testing.assert_allclose(turned[0], np.rot90(image[0]), atol=1e-12)


def test_a_similarity_above_one_zooms_out():
    grid = transforms.get("similarity").grid(
        tf.constant([[2.0, 0, 0, 0]]), tf.constant(points_of(dtype="float32"))
    )
    np.testing.assert_allclose(grid[0, 0, 0], [-2, -2])


@pytest.mark.parametrize("name", WITH_MATRIX)
def test_the_inverse_undoes(name):
    family, theta = family_and_theta(name)
    back = family.inverse(tf.constant(theta))
    assert back.shape == theta.shape
    product = family.matrix(tf.constant(theta)).numpy() @ family.matrix(back).numpy()
    product /= product[:, 2:, 2:]
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(3), (2, 3, 3)), atol=1e-10)


@pytest.mark.parametrize(("name", "theta"), [("scale", [0, 1]), ("affine", [1, 2, 0, 2, 4, 0])])
def test_no_inverse_is_not_finite(name, theta):
    back = transforms.get(name).inverse(tf.constant([theta], tf.float32))
    assert not np.isfinite(back).all()


def test_affines_compose():
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(2, 1, 6))
    family = transforms.get("affine")
    points = points_of()
    once = family.grid(tf.constant(first), tf.constant(points))[0]
    twice = family.grid(tf.constant(second), once)
    product = np.vstack([second.reshape(2, 3), [0, 0, 1]]) @ np.vstack(
        [first.reshape(2, 3), [0, 0, 1]]
    )
    both = family.grid(tf.constant(product[:2].reshape(1, 6)), tf.constant(points))
    np.testing.assert_allclose(twice, both, atol=1e-12)


def test_behind_the_camera_is_far_outside_without_a_gradient():
    family = transforms.get("projective")
    theta = tf.constant([[1, 0, 0, 0, 1, 0, 2, 0]], tf.float64)  # denominator 2 x + 1
    points = tf.constant([[[-0.5, 0.3], [-0.8, 0.3], [-0.5 + 4e-7, 0.3], [0.25, 0.3]]], tf.float64)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(theta)
        grid = family.grid(theta, points)
        behind, before = grid[:, :, :3], grid[:, :, 3]
    assert np.all(np.abs(behind) >= 1e5)
    assert not np.any(tape.gradient(behind, theta))
    np.testing.assert_allclose(before, [[[0.25 / 1.5, 0.3 / 1.5]]], atol=1e-12)
    assert np.all(np.isfinite(tape.gradient(before, theta)))
    image = np.ones((1, 4, 4, 1))
    read = oracle.plain_sample(image, grid.numpy(), fill_value=7.0)
    np.testing.assert_allclose(read.ravel(), [7, 7, 7, 1], atol=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_gradients_of_theta(name):
    family, theta = family_and_theta(name)
    points = points_of()
    weights = np.random.default_rng(1).normal(size=(2, 4, 5, 2))
    variable = tf.constant(theta)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        total = tf.reduce_sum(family.grid(variable, tf.constant(points)) * weights)

    def read(moved):
        return np.sum(family.grid(tf.constant(moved), tf.constant(points)).numpy() * weights)

    expected = oracle.central_difference(read, theta)
    np.testing.assert_allclose(tape.gradient(total, variable), expected, atol=1e-7)


@pytest.mark.parametrize("name", FAMILIES)
def test_gradients_of_theta_through_the_sampler(name):
    family = transforms.get(name)
    # Not at the identity, where bilinear interpolation has its kinks.
    theta = family.identity + np.random.default_rng(5).normal(scale=0.02, size=family.num_params)
    theta = theta[None].astype("float64")
    images = np.random.default_rng(0).normal(size=(1, 6, 5, 3))
    points = tf.constant(points_of(3, 3) * 0.77 + 0.031)
    weights = np.random.default_rng(1).normal(size=(1, 3, 3, 3))
    variable = tf.constant(theta)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        value = keras_stn.sample(images, family.grid(variable, points))

    def read(moved):
        grid = family.grid(tf.constant(moved), points).numpy()
        return np.sum(oracle.sample(images, grid) * weights)

    expected = oracle.central_difference(read, theta, step=1e-6)
    found = tape.gradient(value, variable, weights)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert np.all(np.abs(found) > 0)


@pytest.mark.parametrize("name", FAMILIES)
def test_unknown_and_empty_batches(name):
    family, theta = family_and_theta(name, "float32")
    points = points_of(dtype="float32")
    spec = [tf.TensorSpec([None, family.num_params]), tf.TensorSpec([None, None, 2])]
    function = tf.function(family.grid, input_signature=spec, autograph=False)
    expected = family.grid(tf.constant(theta), tf.constant(points))
    np.testing.assert_allclose(function(theta, points), expected, atol=1e-6)
    assert function(theta[:0], points).shape == (0, 4, 5, 2)
    np.testing.assert_allclose(function(theta[:1], points), expected[:1], atol=1e-6)


@pytest.mark.parametrize("align_corners", [True, False])
def test_the_base_grid_is_made_of_the_pixels_coordinates(align_corners):
    for height, width in [(1, 1), (1, 4), (3, 1), (4, 7)]:
        grid = base_grid(height, width, align_corners, tf.float64)
        expected = oracle.base_grid(height, width, align_corners)[0]
        np.testing.assert_allclose(grid, expected, atol=1e-15)
        np.testing.assert_array_equal(grid, -np.asarray(grid)[::-1, ::-1])


# --- the thin-plate spline ----------------------------------------------------------------------


def spline(sources, targets, points):
    """Bookstein's spline, solved for these very values: coefficients first, then point by point."""
    count = len(sources)

    def radial(a, b):
        squared = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
        return squared * np.log(squared) if squared else 0.0

    system = np.zeros((count + 3, count + 3))
    for i, a in enumerate(sources):
        for j, b in enumerate(sources):
            system[i, j] = radial(a, b)
        system[i, count:] = system[count:, i] = [1, *a]
    coefficients = np.linalg.solve(system, np.vstack([targets, np.zeros((3, 2))]))
    result = np.zeros(points.shape)
    for place in np.ndindex(*points.shape[:-1]):
        terms = [radial(points[place], a) for a in sources] + [1, *points[place]]
        result[place] = terms @ coefficients
    return result


SCATTERED = [[-0.9, -0.8], [0.7, -1], [0.1, 0.2], [-1, 0.9], [0.8, 0.6]]


@pytest.mark.parametrize("control_points", [None, SCATTERED])
def test_the_spline_is_the_solution_of_its_system(control_points):
    family = ThinPlateSpline(3, 4, control_points)
    lattice = np.meshgrid(np.linspace(-1, 1, 4), np.linspace(-1, 1, 3))
    sources = np.stack(lattice, axis=-1).reshape(-1, 2)
    if control_points is not None:
        sources = np.array(SCATTERED)
    targets = sources + np.random.default_rng(0).normal(scale=0.2, size=sources.shape)
    points = points_of(5, 6) * 1.3
    grid = family.grid(tf.constant(targets.reshape(1, -1)), tf.constant(points))
    np.testing.assert_allclose(grid[0], spline(sources, targets, points), atol=1e-9)


@pytest.mark.parametrize("shape", [(2, 2), (4, 4), (3, 5), (8, 8)])
def test_control_points_map_onto_theta(shape):
    family = ThinPlateSpline(*shape)
    x, y = np.meshgrid(np.linspace(-1, 1, shape[1]), np.linspace(-1, 1, shape[0]))
    lattice = np.stack([x, y], axis=-1)
    assert family.num_params == lattice.size
    np.testing.assert_allclose(family.identity, lattice.ravel(), atol=1e-7)
    theta = np.random.default_rng(0).normal(size=(1, lattice.size))
    grid = family.grid(tf.constant(theta), tf.constant(lattice))
    np.testing.assert_allclose(grid.numpy().ravel(), theta.ravel(), atol=1e-9)


def test_an_affine_theta_is_an_affine_map():
    family, matrix = ThinPlateSpline(), np.array([[0.7, -0.4, 0.1], [0.2, 1.3, -0.3]])
    sources = np.array(family.identity, np.float64).reshape(4, 4, 2)
    theta = sources @ matrix[:, :2].T + matrix[:, 2]
    points = points_of(7, 6) * 1.5
    grid = family.grid(tf.constant(theta.reshape(1, -1)), tf.constant(points))
    np.testing.assert_allclose(grid[0], points @ matrix[:, :2].T + matrix[:, 2], atol=1e-6)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([[0, 0], [1, 0], [0, 1], [1, 0]], [r"\[1.0, 0.0\] twice", "positions 1 and 3", "Remove"]),
        ([[0, 0], [0, 0], [0, 0]], ["differ from each other"]),
        ([[0, 0], [0.5, 0.5], [1, 1], [-1, -1]], ["on one line", "beside the line"]),
        ([[0.3, 0], [0.3, 0.5], [0.3, 1]], ["on one line"]),
        ([[0, 0], [1, 0]], ["at least three points", r"\(2, 2\)"]),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], ["at least three points", r"\(3, 3\)"]),
        ([0, 0, 1, 0, 0, 1], ["at least three points", r"\(6,\)"]),
        ([[0, 0], [1, 0], [np.nan, 1]], ["must be finite", "nan"]),
    ],
)
def test_refused_control_points(points, words):
    for word in words:
        with pytest.raises(ValueError, match=word):
            ThinPlateSpline(control_points=points)


@pytest.mark.parametrize("shape", [(1, 4), (4, 1), (0, 0)])
def test_refused_lattices(shape):
    with pytest.raises(ValueError, match=f"two rows and two columns.*rows={shape[0]}"):
        ThinPlateSpline(*shape)


def test_small_and_distant_control_points_are_no_mistake():
    for factor, offset in [(1e-3, 0), (50, 0), (0.1, 5)]:
        points = np.array(SCATTERED) * factor + offset
        family = ThinPlateSpline(control_points=points.tolist())
        grid = family.grid(tf.constant(points.reshape(1, -1)), tf.constant(points[None]))
        np.testing.assert_allclose(grid[0, 0], points, atol=1e-6 * max(1, factor))


# --- names, configs -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_get_takes_a_name_a_config_and_an_instance(name):
    family = transforms.get(name)
    assert type(family) is FAMILIES[name]
    assert family.name == name
    assert transforms.get(family) is family
    config = keras.saving.serialize_keras_object(family)
    assert config["registered_name"] == f"keras_stn>{type(family).__name__}"
    assert transforms.get(config) == family
    assert transforms.serialize(family) == name
    assert transforms.get(transforms.serialize(family)) == family


@pytest.mark.parametrize(
    "family", [ThinPlateSpline(2, 3), ThinPlateSpline(control_points=SCATTERED)]
)
def test_a_spline_with_arguments_round_trips(family):
    config = transforms.serialize(family)
    again = transforms.get(config)
    assert isinstance(config, dict)
    assert again == family
    assert hash(again) == hash(family)
    assert again != ThinPlateSpline()
    assert again.get_config() == family.get_config()
    np.testing.assert_array_equal(again.identity, family.identity)


def test_control_points_may_be_an_array():
    family = ThinPlateSpline(control_points=np.array(SCATTERED))
    assert transforms.get(transforms.serialize(family)) == family


@pytest.mark.parametrize(
    ("identifier", "words"),
    [
        ("afine", ["Did you mean 'affine'", "'afine'", "transform must be one of"]),
        ("thin_plate_spline", ["is here tps"]),
        ("homography", ["is here projective"]),
        ("purple", ["'translation', 'scale', 'rotation'", "'purple'"]),
        (None, ["None", "'affine'"]),
        (6, ["6", "'affine'"]),
    ],
)
def test_an_unknown_family_is_explained(identifier, words):
    for word in words:
        with pytest.raises(ValueError, match=word):
            transforms.get(identifier)


def test_a_family_is_an_object_with_three_attributes():
    class Mirror:
        num_params, identity = 1, np.ones(1, np.float32)

        def grid(self, theta, points):
            return theta[:, None, None, :] * points

    family = Mirror()
    assert transforms.get(family) is family


def test_the_identity_of_a_family_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        transforms.get("affine").identity[0] = 2


# --- the way back -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_way_back_through_the_identity(name, align_corners, dtype):
    family = transforms.get(name)
    theta = tf.cast(family.identity[None], dtype)
    for height, width in [(1, 1), (3, 5), (7, 9), (8, 11)]:
        points = oracle.base_grid(height, width, align_corners)[0].astype(dtype)
        found = inverse_points(family, theta, tf.constant(points))
        assert found.dtype == dtype
        np.testing.assert_allclose(found[0], points, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_way_back_is_the_way_back(name):
    family, theta = family_and_theta(name)
    points = points_of(9, 9)
    found = inverse_points(family, tf.constant(theta), tf.constant(points)).numpy()
    shown = np.isfinite(found).all(axis=-1)
    assert shown.any()
    for row in range(2):
        seen = found[row][shown[row]][None]
        if not seen.size:
            continue
        assert np.abs(seen).max() <= 1 + 1e-5
        forth = family.grid(tf.constant(theta[row : row + 1]), tf.constant(seen))[0]
        np.testing.assert_allclose(forth, points[shown[row]][None], atol=1e-6)


class Numeric:
    """A family without a matrix, so that the way back is searched for."""

    def __init__(self, family):
        self.family = family
        self.num_params, self.identity = family.num_params, family.identity

    def grid(self, theta, points):
        return self.family.grid(theta, points)


@pytest.mark.parametrize("name", ["rigid", "similarity", "affine"])
def test_the_search_finds_what_the_inverse_gives(name):
    family = transforms.get(name)
    theta = family.identity + np.random.default_rng(2).normal(
        scale=0.2, size=(2, family.num_params)
    )
    points = tf.constant(points_of(7, 7) * 0.99)
    analytic = inverse_points(family, tf.constant(theta), points).numpy()
    searched = inverse_points(Numeric(family), tf.constant(theta), points).numpy()
    np.testing.assert_allclose(searched, analytic, atol=1e-6)
    assert np.isnan(analytic).any()
    assert np.isfinite(analytic).any()


@pytest.mark.parametrize("name", ["scale", "attention", "similarity", "affine", "tps"])
def test_zooming_in_leaves_the_rest_unseen(name):
    family = transforms.get(name)
    theta = np.array(family.identity, np.float64)
    if name == "tps":
        theta = theta * 0.25 + np.tile([0.5, 0.25], 16)
    elif name == "scale":
        theta[:] = 0.25
    else:
        theta[theta == 1] = 0.25
        theta[{"attention": [1, 2], "similarity": [2, 3], "affine": [2, 5]}[name]] = 0.5, 0.25
    centre = np.zeros(2) if name == "scale" else np.array([0.5, 0.25])
    points = points_of(21, 21)
    found = inverse_points(family, tf.constant(theta[None]), tf.constant(points))[0].numpy()
    inside = np.all(np.abs(points - centre) <= 0.25 + 1e-9, axis=-1)
    assert np.array_equal(np.isfinite(found).all(axis=-1), inside)
    np.testing.assert_allclose(found[inside], (points[inside] - centre) / 0.25, atol=1e-6)
    assert np.isnan(found[~inside]).all()


def test_what_is_behind_the_camera_was_never_seen():
    family = transforms.get("projective")
    theta = np.array([[1, 0, 0, 0, 1, 0, 2.0, 0]])
    points = points_of(5, 5)
    found = inverse_points(family, tf.constant(theta), tf.constant(points))[0].numpy()
    # x = u / (2 u + 1) and y = v / (2 u + 1), so u = x / (1 - 2 x), which is 1 for x = 1 / 3. The
    # denominator is 1 / (1 - 2 x).
    x, y = points[..., 0], points[..., 1]
    seen = (x <= 1 / 3) & (np.abs(y) <= 1 - 2 * x)
    assert np.array_equal(np.isfinite(found).all(axis=-1), seen)


def test_a_large_image_is_searched_in_bands(monkeypatch):
    family, theta = family_and_theta("tps")
    points = tf.constant(points_of(9, 7))
    expected = inverse_points(family, tf.constant(theta), points)
    searched = []
    search = inverse._search
    monkeypatch.setattr(inverse, "_AT_ONCE", 20)
    monkeypatch.setattr(inverse, "_search", lambda *a: (searched.append(a[2]), search(*a))[1])
    found = inverse_points(family, tf.constant(theta), points)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert [band.shape for band in searched] == [(1, 16, 2)] * 4 * len(theta)


def test_nan_is_not_behind_the_camera():
    family = transforms.get("projective")
    theta = np.full((1, 8), np.nan, np.float32)
    assert np.isnan(family.grid(tf.constant(theta), tf.constant(points_of(dtype="float32")))).all()


def test_a_transform_without_an_inverse_sees_nothing():
    flat = np.array([[0, 0, 0.5, 0, 0, 0.5]], np.float32)
    found = inverse_points(
        transforms.get("affine"), tf.constant(flat), tf.constant(points_of(dtype="float32"))
    )
    assert np.isnan(found).all()


@pytest.mark.parametrize("name", ["affine", "tps"])
def test_the_way_back_in_a_graph_with_an_unknown_batch(name):
    family, theta = family_and_theta(name)
    points = points_of(5, 6)
    spec = [
        tf.TensorSpec([None, family.num_params], tf.float64),
        tf.TensorSpec([None, None, 2], tf.float64),
    ]

    @tf.function(input_signature=spec, autograph=False)
    def back(theta, points):
        return inverse_points(family, theta, points)

    expected = inverse_points(family, tf.constant(theta), tf.constant(points))
    np.testing.assert_allclose(back(theta, points), expected, atol=1e-9)
    assert back(theta[:0], points).shape == (0, 5, 6, 2)
    assert inverse_points(family, tf.constant(theta[:0]), points).shape == (0, 5, 6, 2)
