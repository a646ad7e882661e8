"""Heatmaps behind spatial transformers: they lie in the frame of the image that went in."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import gradcam
import keras_stn
from gradcam.cam.methods import METHODS

SIZE = 32


class Always(layers.Layer):
    """A localisation network that says the same of every image, whatever its values."""

    def __init__(self, theta):
        super().__init__()
        self.value = np.asarray(theta, "float32")

    def call(self, images):
        return tf.repeat(self.value[None], tf.shape(images)[0], axis=0)


def fixed(transform, theta, **options):
    """A transformer that moves every image by the same theta."""
    return keras_stn.SpatialTransformer(transform, localization=Always(theta), **options)


def detector(*transformers, size=SIZE, pool=1, after=None):
    """A network whose only feature map is the brightness of what the last transformer shows."""
    inputs = keras.Input((size, size, 1), name="image")
    x = inputs
    for transformer in transformers:
        x = transformer(x)
    if pool > 1:
        x = layers.AveragePooling2D(pool)(x)
    conv = layers.Conv2D(
        1, 1, name="bright", use_bias=False, kernel_initializer="ones", dtype="float32"
    )
    x = conv(x)
    x = after(inputs, x) if after else x
    outputs = layers.Dense(1, use_bias=False, kernel_initializer="ones", name="score")(
        layers.GlobalAveragePooling2D()(x)
    )
    return keras.Model(inputs, outputs)


def blobs(*places, size=SIZE, width=1.5):
    """Images with one bright spot each, at (row, column)."""
    rows, columns = np.mgrid[:size, :size]
    spots = [np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / (2 * width**2)) for r, c in places]
    return np.stack(spots)[..., None].astype("float32")


def peaks(heatmaps):
    return [np.unravel_index(heatmap.argmax(), heatmap.shape) for heatmap in heatmaps]


def explained(model, images, **options):
    return gradcam.explain(model, images, target=gradcam.targets.Regression(), **options)


def bent(amount):
    """Control points of the 4x4 lattice, moved along a wave."""
    lattice = keras_stn.transforms.get("tps").identity.reshape(-1, 2)
    return (lattice * 0.7 + amount * np.sin(3 * lattice[:, ::-1])).reshape(-1)


THETAS = {
    "translation": [0.3, -0.2],
    "scale": [0.6, 1.4],
    "rotation": [0.8],
    "rigid": [-0.6, 0.2, 0.1],
    "similarity": [0.8, 0.5, 0.15, -0.1],
    "attention": [0.6, 0.25, -0.2],
    "affine": [0.9, 0.3, 0.1, -0.2, 0.8, -0.15],
    "projective": [0.9, 0.1, 0.2, -0.1, 0.9, 0.1, 0.2, -0.15],
    "tps": bent(0.12),
}


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("family", THETAS)
def test_the_peak_lands_on_the_evidence(family, align_corners):
    places = [(12, 18), (20, 21), (15, 11)]
    pool = 2
    transformer = fixed(family, THETAS[family], output_size=28, align_corners=align_corners)
    explanation = explained(detector(transformer, pool=pool), blobs(*places))
    # A cell of the layer covers as much of the input as the frame that it is part of.
    cell = pool * SIZE / 28 * 1.5
    for peak, place in zip(peaks(explanation.heatmaps), places, strict=True):
        assert np.abs(np.subtract(peak, place)).max() <= cell
    assert np.isfinite(explanation.heatmaps).all()
    assert explanation.warnings == ()
    # The warped frame shows the spot somewhere else, or this test would show nothing.
    away = [
        np.abs(np.divide(peak, 28) - np.divide(place, SIZE)).max() * SIZE
        for peak, place in zip(peaks(explanation.warped_heatmaps), places, strict=True)
    ]
    assert max(away) > 2.0


@pytest.fixture(scope="module")
def with_and_without():
    """Models with the same head, behind transformers at the identity, and behind none."""
    head = [
        layers.Conv2D(4, 3, activation="relu", name="conv"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3),
    ]
    keras.utils.set_random_seed(3)
    starts = {
        align_corners: [keras_stn.SpatialTransformer(align_corners=align_corners)]
        for align_corners in (True, False)
    }
    return {
        key: keras.Sequential([keras.Input((12, 12, 2)), *start, *head])
        for key, start in (starts | {None: []}).items()
    }


@pytest.mark.parametrize("method", METHODS)
def test_at_the_identity_nothing_changes(method, with_and_without):
    images = np.random.default_rng(0).normal(size=(3, 12, 12, 2)).astype("float32")
    both, edges, expected = (
        gradcam.explain(with_and_without[key], images, target=[0, 1, 2], method=method)
        for key in (True, False, None)
    )
    for found in (both, edges):
        np.testing.assert_allclose(found.heatmaps, expected.heatmaps, atol=2e-5)
        np.testing.assert_allclose(found.warped_heatmaps, expected.heatmaps, atol=2e-5)
        np.testing.assert_array_equal(found.coverage, 1.0)
    assert expected.warped_heatmaps is None
    assert expected.coverage is None


def by_hand(warped, inverse, align_corners, size=SIZE):
    """A warped heatmap looked up pixel by pixel, and where there was something to look up."""
    n = len(warped)
    found, seen = np.zeros((size, size)), np.zeros((size, size))
    for row in range(size):
        for column in range(size):
            if align_corners:
                point = np.array([column, row]) / (size - 1) * 2 - 1
            else:
                point = (np.array([column, row]) * 2 + 1) / size - 1
            x, y = inverse @ [*point, 1.0]
            if max(abs(x), abs(y)) > 1.0 + 1e-5:
                continue
            seen[row, column] = 1.0
            span = (n - 1, 0.0) if align_corners else (n, 0.5)
            x, y = (np.clip((v + 1) / 2 * span[0] - span[1], 0, n - 1) for v in (x, y))
            left, top = min(int(x), n - 2), min(int(y), n - 2)
            corner = warped[top : top + 2, left : left + 2]
            found[row, column] = (
                np.array([1 - (y - top), y - top]) @ corner @ [1 - (x - left), x - left]
            )
    return found, seen


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("zoom", [0.6, 1.7])
def test_every_pixel_gets_the_value_of_where_it_was_seen_once(zoom, align_corners):
    matrix = np.array([[zoom, 0.2, 0.1], [-0.3, zoom, -0.2]])
    inverse = np.linalg.inv([*matrix, [0, 0, 1]])[:2]
    transformer = fixed(
        "affine",
        matrix.reshape(-1),
        output_size=20,
        align_corners=align_corners,
        fill_mode="nearest",
    )
    explanation = explained(detector(transformer), blobs((10, 20), (16, 16)))
    for warped, heatmap, coverage in zip(
        explanation.warped_heatmaps, explanation.heatmaps, explanation.coverage, strict=True
    ):
        expected, seen = by_hand(warped, inverse, align_corners)
        np.testing.assert_array_equal(coverage, seen)
        np.testing.assert_allclose(heatmap, expected / expected.max(), atol=1e-5)
    assert (explanation.coverage.mean() < 0.8) == (zoom < 1)


def test_a_quarter_turn_turns_the_heatmap_back():
    image = blobs((5, 20), (25, 9))
    explanation = explained(detector(fixed("rotation", [np.pi / 2])), image)
    for warped, heatmap in zip(explanation.warped_heatmaps, explanation.heatmaps, strict=True):
        np.testing.assert_allclose(np.rot90(heatmap), warped, atol=1e-4)


def test_transformers_in_series_are_composed():
    first, second = [0.8, 0.1, 0.1, -0.1, 0.9, 0.0], [0.9, 0.0, -0.1, 0.2, 0.8, 0.1]
    product = np.eye(3)
    for theta in (first, second):
        product = product @ [*np.reshape(theta, (2, 3)), [0, 0, 1]]
    images = blobs((14, 18), (20, 12), width=3)
    both = explained(detector(fixed("affine", first), fixed("affine", second)), images)
    one = explained(detector(fixed("affine", product[:2].reshape(-1))), images)
    assert peaks(both.heatmaps) == peaks(one.heatmaps)
    inside = (one.coverage == 1) & (both.coverage == 1)
    np.testing.assert_allclose(both.heatmaps[inside], one.heatmaps[inside], atol=0.06)
    assert np.mean(one.coverage != (both.coverage > 0.5)) < 0.03


def test_a_transformer_on_feature_maps_is_followed_to_the_image():
    inputs = keras.Input((SIZE, SIZE, 1))
    x = layers.AveragePooling2D(2)(inputs)
    x = fixed("translation", [0.5, 0.25])(x)
    x = layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones", name="bright")(x)
    outputs = layers.Dense(1, kernel_initializer="ones")(layers.GlobalAveragePooling2D()(x))
    explanation = explained(keras.Model(inputs, outputs), blobs((20, 22)))
    assert explanation.warped_heatmaps.shape == (1, 16, 16)
    assert explanation.heatmaps.shape == explanation.coverage.shape == (1, SIZE, SIZE)
    assert np.abs(np.subtract(peaks(explanation.heatmaps)[0], (20, 22))).max() <= 2
    assert explanation.coverage[0, :, 0].max() == 0.0
    assert explanation.coverage[0, 20, 22] == 1.0


def test_layers_that_see_the_image_itself_have_no_warped_frame():
    transformer = fixed("translation", [0.5, 0.0])
    inputs = keras.Input((SIZE, SIZE, 1))
    x = layers.Conv2D(1, 3, padding="same", name="before", kernel_initializer="ones")(inputs)
    x = layers.Conv2D(1, 3, name="behind", kernel_initializer="ones")(transformer(x))
    outputs = layers.Dense(1, kernel_initializer="ones")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    images = blobs((10, 25))
    before = explained(model, images, layer="before")
    assert before.warped_heatmaps is None
    assert before.coverage is None
    assert explained(model, images, layer="behind").coverage is not None
    default = keras.Sequential(
        [keras.Input((SIZE, SIZE, 1)), keras_stn.SpatialTransformer(name="stn"), *model.layers[-3:]]
    )
    path = next(
        info.path
        for info in gradcam.layers(default)
        if info.path.startswith("stn/localization/conv")
    )
    inside = gradcam.explain(default, images, 0, path)
    assert inside.coverage is None


def parallel(inputs, x):
    return layers.Concatenate()([x, fixed("scale", [0.5, 0.5])(inputs)])


def beside_the_image(inputs, x):
    return layers.Concatenate()([x, inputs])


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (layers.CenterCrop(20, 20, name="crop"), SIZE),
        (layers.CenterCrop(20, 20, name="crop"), None),
        (layers.Resizing(16, 24, crop_to_aspect_ratio=True, name="crop"), SIZE),
        (layers.Resizing(16, 24, pad_to_aspect_ratio=True, name="crop"), SIZE),
    ],
)
def test_a_crop_inside_the_model_is_said(layer, size):
    explanation = explained(detector(layer, size=size), blobs((12, 12)))
    (warning,) = explanation.warnings
    assert "sees the image warped by crop" in warning
    assert "a crop inside the model" in warning


@pytest.mark.parametrize(
    "layer",
    [
        layers.CenterCrop(SIZE, SIZE),
        layers.Resizing(16, 24),
        layers.Resizing(16, 16, crop_to_aspect_ratio=True),
    ],
)
def test_a_layer_that_could_crop_and_does_not_is_no_matter(layer):
    assert explained(detector(layer), blobs((12, 12))).warnings == ()


@pytest.mark.parametrize("branch", [parallel, beside_the_image])
def test_what_cannot_be_followed_stays_in_the_warped_frame_and_says_so(branch):
    def merged(inputs, x):
        both = branch(inputs, x)
        return layers.Conv2D(1, 1, kernel_initializer="ones", name="merged")(both)

    model = detector(fixed("scale", [0.5, 0.5]), after=merged)
    explanation = explained(model, blobs((12, 12)), layer="merged")
    (warning,) = explanation.warnings
    assert "sees the image warped by spatial_transformer" in warning
    assert "draw them over the warped images" in warning
    assert explanation.warped_heatmaps is None
    assert explanation.coverage is None
    # In its own branch, a layer has one way back.
    alone = explained(model, blobs((12, 12)), layer="bright")
    assert alone.warnings == ()
    assert peaks(alone.heatmaps) == [(12, 12)]


class HandMade(layers.Layer):
    """Moves images by a number of pixels that it computes from them, with plain gathers."""

    def call(self, images):
        shift = tf.cast(tf.round(tf.reduce_mean(images, axis=(1, 2, 3))), tf.int32)
        columns = (tf.range(SIZE)[None] + shift[:, None]) % SIZE
        return tf.gather(images, columns, axis=2, batch_dims=1)


class Cropping(layers.Layer):
    """Looks at a box that it computes from the images."""

    def call(self, images):
        corner = tf.nn.relu(tf.reduce_mean(images, axis=(1, 2))) * 0.1
        boxes = tf.concat([corner, corner, 1 - corner, 1 - corner], axis=1)
        return tf.image.crop_and_resize(images, boxes, tf.range(tf.shape(images)[0]), (SIZE, SIZE))


class Parts(layers.Layer):
    """A transformer put together from its parts."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.sampler = keras_stn.GridSampler(name="sampler")

    def build(self, shape):
        self.sampler.build([shape, (None, SIZE, SIZE, 2)])

    def call(self, images):
        level = tf.reduce_mean(images, axis=(1, 2))
        theta = tf.concat([1.0 + level, level * 0.0, level * 0.0] * 2, axis=1)
        return self.sampler([images, keras_stn.GridGenerator(output_size=SIZE)(theta)])


class InTwoSteps(layers.Layer):
    """Asks a transformer for theta, and then to warp, so that it is never called."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.transformer = keras_stn.SpatialTransformer("translation")

    def build(self, shape):
        self.transformer.build(shape)

    def call(self, images):
        return self.transformer.warp(images, self.transformer.theta(images))


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (HandMade, "hand_made"),
        (Cropping, "cropping"),
        (Parts, "parts/sampler"),
        (InTwoSteps, "in_two_steps"),
    ],
)
def test_a_sampler_without_the_interface_is_noticed(layer, name):
    explanation = explained(
        detector(layer(name=name.split("/")[0]) if layer is not Parts else Parts()), blobs((9, 9))
    )
    (warning,) = explanation.warnings
    assert f"warped by {name}" in warning


def test_gathers_that_move_nothing_are_no_samplers():
    class Embeds(layers.Layer):
        def build(self, shape):
            self.table = self.add_weight(shape=(10, 1))

        def call(self, images):
            levels = tf.cast(images[..., 0] * 9, tf.int32)
            return tf.gather(images, [0], axis=-1) + tf.gather(self.table, levels)

    assert explained(detector(Embeds()), blobs((9, 9))).warnings == ()


class OneByOne(layers.Layer):
    """Sends the images through a transformer one at a time."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.transformer = fixed("scale", [0.5, 0.5], name="stn")

    def build(self, shape):
        self.transformer.build((1, *shape[1:]))

    def call(self, images):
        return tf.map_fn(lambda image: self.transformer(image[None])[0], images)


def test_a_transformer_inside_a_loop_is_noticed():
    explanation = explained(detector(OneByOne(name="one_by_one")), blobs((9, 9)))
    assert any("warped by one_by_one/stn" in text for text in explanation.warnings)
    assert explanation.coverage is None


def test_a_transformer_in_every_image_of_a_film_is_noticed():
    films = keras.Input((2, 12, 12, 1))
    moved = layers.TimeDistributed(fixed("translation", [0.3, -0.2], name="stn"), name="each")(
        films
    )
    x = layers.Conv3D(1, 1, kernel_initializer="ones", name="bright")(moved)
    model = keras.Model(films, layers.Dense(1)(layers.GlobalAveragePooling3D()(x)))
    explanation = explained(model, np.ones((1, 2, 12, 12, 1), "float32"))
    assert explanation.heatmaps.shape == (1, 2, 12, 12)
    assert "sees the image warped by each" in explanation.warnings[0]


def test_a_frame_outside_of_the_image_says_so_and_leaves_the_picture_alone():
    images = blobs((9, 9), (20, 20))
    explanation = explained(detector(fixed("translation", [5.0, 0.0])), images)
    assert "image 0: the frame that spatial_transformer" in explanation.warnings[0]
    assert "lies outside of the image" in explanation.warnings[0]
    np.testing.assert_array_equal(explanation.heatmaps, 0.0)
    np.testing.assert_array_equal(explanation.coverage, 0.0)
    shown = np.rint(images * 255).astype("uint8")
    np.testing.assert_array_equal(explanation.overlay(images), np.repeat(shown, 3, axis=-1))


def test_overlays_leave_what_was_not_seen_as_it_is():
    images = blobs((9, 9), (16, 20))
    explanation = explained(detector(fixed("attention", [0.5, 0.0, 0.0])), images, top_k=None)
    covered = explanation.coverage > 0
    assert 0.2 < covered.mean() < 0.3
    picture = explanation.overlay(images)
    shown = np.repeat(np.rint(images * 255).astype("uint8"), 3, axis=-1)
    np.testing.assert_array_equal(picture[~covered], shown[~covered])
    assert (picture[covered] != shown[covered]).any(axis=-1).mean() > 0.9


def test_classes_and_batches_keep_their_own_frames():
    keras.utils.set_random_seed(5)
    inputs = keras.Input((SIZE, SIZE, 1))
    transformer = keras_stn.SpatialTransformer("attention", output_size=16)
    x = layers.Conv2D(4, 3, activation="relu")(transformer(inputs))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    # The frame depends on the image.
    regression = transformer._network.layers[-1]
    regression.kernel.assign(np.random.default_rng(0).normal(size=regression.kernel.shape) * 3)
    images = blobs((5, 5), (25, 9), (16, 16), (8, 25))
    together = gradcam.explain(model, images, top_k=2, relu=False)
    assert together.heatmaps.shape == (4, 2, SIZE, SIZE)
    assert together.warped_heatmaps.shape == (4, 2, 16, 16)
    assert together.coverage.shape == (4, SIZE, SIZE)
    assert len(np.unique(together.coverage.sum(axis=(1, 2)))) > 1
    split = gradcam.explain(model, images, top_k=2, relu=False, batch_size=3)
    np.testing.assert_allclose(together.heatmaps, split.heatmaps, atol=1e-5)
    np.testing.assert_array_equal(together.coverage, split.coverage)
    for number in range(4):
        alone = gradcam.explain(model, images[number], top_k=2, relu=False)
        np.testing.assert_allclose(alone.heatmaps[0], together.heatmaps[number], atol=1e-5)


def test_scorecam_masks_the_image_where_the_layer_saw_it():
    """A translation by whole pixels: the mask moves with it, which can be worked out by hand."""
    step = 8
    inputs = keras.Input((SIZE, SIZE, 1))
    shifted = fixed("translation", [step * 2 / (SIZE - 1), 0.0])(inputs)
    x = layers.Conv2D(2, 3, padding="same", activation="relu", name="conv")(shifted)
    outputs = layers.Dense(2)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    image = blobs((16, 20))
    tap = keras.Model(inputs, x)
    activations = np.asarray(tap(image))[0]
    scores = []
    for channel in np.moveaxis(activations, -1, 0):
        spread = channel.max() - channel.min()
        mask = (channel - channel.min()) / spread if spread else channel * 0
        moved = np.zeros((SIZE, SIZE))
        moved[:, step:] = mask[:, :-step]
        score = float(model(image * moved[None, ..., None])[0, 1])
        scores.append(score if spread else -np.inf)
    weights = np.exp(np.array(scores) - max(scores))
    expected = np.maximum(activations @ (weights / weights.sum()), 0)
    found = gradcam.explain(model, image, 1, "conv", "scorecam")
    np.testing.assert_allclose(found.maps[0], expected, atol=1e-4)


@pytest.mark.parametrize("open_size", [(None, None, 1), (None, SIZE, 1)])
def test_images_of_any_size_are_carried_back(open_size):
    inputs = keras.Input(open_size)
    network = keras.Sequential(
        [
            keras.Input(open_size),
            layers.GlobalAveragePooling2D(),
            keras_stn.ThetaRegression("scale"),
        ]
    )
    network.layers[-1].bias.assign([-0.5, -0.5])
    x = keras_stn.SpatialTransformer("scale", localization=network)(inputs)
    x = layers.Conv2D(1, 1, kernel_initializer="ones")(x)
    outputs = layers.Dense(1, kernel_initializer="ones")(layers.GlobalAveragePooling2D()(x))
    explanation = explained(keras.Model(inputs, outputs), blobs((12, 20)))
    assert peaks(explanation.heatmaps) == [(12, 20)]
    assert explanation.coverage.mean() == pytest.approx(0.25, abs=0.05)


def test_layers_in_different_frames_are_not_fused():
    transformer = fixed("translation", [0.5, 0.0])
    inputs = keras.Input((SIZE, SIZE, 1))
    x = transformer(layers.Conv2D(1, 3, name="before")(layers.ZeroPadding2D()(inputs)))
    x = layers.Conv2D(1, 3, name="behind")(x)
    model = keras.Model(inputs, layers.Dense(1)(layers.GlobalAveragePooling2D()(x)))
    with pytest.raises(gradcam.GradCamError, match="'before' through none, 'behind' through spat"):
        explained(model, blobs((9, 9)), layer=["before", "behind"])


def test_the_transformer_is_left_as_it_was():
    model = detector(fixed("scale", [0.5, 0.5], name="stn"))
    before = dict(vars(model.get_layer("stn")))
    explained(model, blobs((9, 9)))
    after = vars(model.get_layer("stn"))
    assert after.keys() == before.keys()
    assert all(after[name] is value for name, value in before.items())


class Halved(keras_stn.SpatialTransformer):
    """Warps by half of what its network says."""

    def call(self, images):
        return self.warp(images, 0.5 * self.theta(images))


class Homemade(layers.Layer):
    """Another library's layer with the interface, whose `call` doesn't ask its own `theta`."""

    transform, align_corners = "shift", True

    def theta(self, images):
        return tf.zeros([tf.shape(images)[0], 2])

    def _points(self, height, width):
        axes = tf.linspace(-1.0, 1.0, width), tf.linspace(-1.0, 1.0, height)
        return tf.stack(tf.meshgrid(*axes), axis=-1)

    def grid(self, theta):
        return self._points(SIZE, SIZE)[None] + theta[:, None, None]

    def inverse_grid(self, theta, size):
        places = self._points(*size)[None] - theta[:, None, None]
        return tf.where(tf.reduce_all(tf.abs(places) <= 1, -1, keepdims=True), places, np.nan)

    def call(self, images):
        shift = tf.repeat([[0.3, -0.2]], tf.shape(images)[0], axis=0)
        return keras_stn.sample(images, self.grid(theta=shift))


@pytest.mark.parametrize(
    "layer", [Halved("translation", localization=Always([0.6, -0.4])), Homemade()]
)
def test_the_theta_that_images_are_sampled_by_is_the_one_followed(layer):
    places = [(12, 18), (20, 21)]
    explanation = explained(detector(layer), blobs(*places))
    assert explanation.warnings == ()
    assert peaks(explanation.heatmaps) == places
    assert peaks(explanation.warped_heatmaps)[0] != places[0]


class Twice(keras_stn.SpatialTransformer):
    """Looks twice in one call, and shows the mean."""

    def call(self, images):
        theta = self.theta(images)
        return (self.warp(images, theta) + self.warp(images, -theta)) / 2.0


def test_a_transformer_that_samples_by_several_thetas_is_not_followed():
    layer = Twice("translation", localization=Always([0.6, -0.4]), name="twice")
    explanation = explained(detector(layer), blobs((12, 18)))
    assert "warped by twice" in explanation.warnings[0]
    assert explanation.coverage is None


def test_a_transformer_in_the_localisation_of_another_is_no_second_one():
    images = keras.Input((SIZE, SIZE, 1))
    x = fixed("scale", [0.8, 0.8], name="inner")(images)
    theta = keras_stn.ThetaRegression("attention")(layers.GlobalAveragePooling2D()(x))
    network = keras.Model(images, theta)
    network.layers[-1].bias.assign([-0.3, 0.2, -0.1])
    outer = keras_stn.SpatialTransformer("attention", localization=network)
    explanation = explained(detector(outer), blobs((12, 18)))
    assert explanation.warnings == ()
    assert peaks(explanation.heatmaps) == [(12, 18)]


def test_a_sampler_of_ones_own_behind_a_transformer_is_noticed():
    model = detector(fixed("scale", [0.9, 0.9]), HandMade(name="hand_made"))
    explanation = explained(model, blobs((9, 9)))
    assert "warped by hand_made" in explanation.warnings[0]
    assert explanation.coverage is None


def test_an_exported_transformer_loaded_as_a_layer_is_noticed(tmp_path):
    images = keras.Input((SIZE, SIZE, 1))
    warped = keras_stn.SpatialTransformer(localization=Always(THETAS["affine"]))(images)
    keras.Model(images, warped).export(str(tmp_path / "served"))
    layer = layers.TFSMLayer(str(tmp_path / "served"), call_endpoint="serve", name="served")
    explanation = explained(detector(layer), blobs((9, 9)))
    assert "warped by served" in explanation.warnings[0]


class OneForAll(Homemade):
    """Says once for all images where it shows them."""

    def inverse_grid(self, theta, size):
        return super().inverse_grid(theta, size)[:1]


def test_one_way_back_may_stand_for_all_images():
    places = [(12, 18), (20, 21)]
    assert peaks(explained(detector(OneForAll()), blobs(*places)).heatmaps) == places


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda grid: grid[:, :20], "a tensor of shape (None, 20, 32, 2) for images of shape"),
        (lambda grid: grid.numpy(), "raised AttributeError"),
        (lambda grid: None, "raised ValueError: None values not supported"),
    ],
)
def test_an_inverse_grid_that_cannot_be_used_is_named(wrong, words):
    class Broken(Homemade):
        def inverse_grid(self, theta, size):
            return wrong(super().inverse_grid(theta, size))

    with pytest.raises(gradcam.GradCamError) as caught:
        explained(detector(Broken(name="broken")), blobs((9, 9)))
    assert caught.value.code == "transformer-broken"
    assert "The spatial transformer 'broken' can't say where" in str(caught.value)
    assert words in str(caught.value)


class Foreign(layers.Layer):
    """Another library's layer with the interface: shifts by whole pixels, sideways."""

    transform, align_corners = "shift", True

    def theta(self, images):
        return tf.ones([tf.shape(images)[0], 1])

    def grid(self, theta):
        raise NotImplementedError

    def inverse_grid(self, theta, size):
        height, width = size
        x = tf.range(width, dtype=tf.float32) - 6.0 * theta
        x = tf.where(x < 0, float("nan"), x) / (width - 1) * 2 - 1
        y = tf.linspace(-1.0, 1.0, height)[None, :, None] + 0.0 * x[:, None]
        return tf.stack([tf.tile(x[:, None], [1, height, 1]), y], axis=-1)

    def call(self, images):
        return tf.roll(images, -6 * tf.cast(self.theta(images)[0, 0], tf.int32), axis=2)


def test_any_layer_with_the_interface_is_followed():
    explanation = explained(detector(Foreign()), blobs((9, 22)))
    assert peaks(explanation.warped_heatmaps) == [(9, 16)]
    assert peaks(explanation.heatmaps) == [(9, 22)]
    np.testing.assert_array_equal(explanation.coverage[0, :, :6], 0.0)
    np.testing.assert_array_equal(explanation.coverage[0, :, 6:], 1.0)
