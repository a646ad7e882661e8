"""Every method on small arrays, against maps worked out by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import gradcam
from gradcam.cam.evidence import EVIDENCE
from gradcam.cam.methods import METHODS, method
from tests.support.gradcam_models import cnn, flatten_cnn, images

# One image, two by two positions, two channels. By hand:
#   sum A_0 = 4, sum A_1 = 4; mean g_0 = 1/2, mean g_1 = -1/4
A = np.array([[[[1, 0], [0, 2]], [[3, 0], [0, 2]]]], np.float32)
G = np.array([[[[1, 0], [1, 0]], [[0, -1], [0, 0]]]], np.float32)
# And three by three, one channel.
A3 = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
G3 = np.full((1, 3, 3, 1), 2, np.float32)


def run(name, **evidence):
    return METHODS[name].function(**{key: tf.constant(value) for key, value in evidence.items()})


def test_gradcam_weighs_channels_by_their_mean_gradient():
    # 1/2 A_0 - 1/4 A_1
    expected = [[[0.5, -0.5], [1.5, -0.5]]]
    np.testing.assert_allclose(run("gradcam", activations=A, gradients=G), expected)
    np.testing.assert_allclose(run("gradcam", activations=A3, gradients=G3), 2 * A3[..., 0])


def test_hirescam_multiplies_position_by_position():
    # position (0, 0): 1 * 1; (0, 1): 1 * 0 + 0 * 2; (1, 0): 0 * 3 - 1 * 0; (1, 1): 0
    np.testing.assert_allclose(run("hirescam", activations=A, gradients=G), [[[1, 0], [0, 0]]])
    np.testing.assert_allclose(run("hirescam", activations=A3, gradients=G3), 2 * A3[..., 0])


def test_xgradcam_averages_the_gradient_where_the_channel_is_active():
    # w_0 = (1 * 1) / 4, w_1 = 0 / 4
    expected = [[[0.25, 0], [0.75, 0]]]
    np.testing.assert_allclose(run("xgradcam", activations=A, gradients=G), expected)


def test_xgradcam_gives_an_empty_channel_no_weight():
    dead = np.zeros_like(A)
    np.testing.assert_array_equal(
        run("xgradcam", activations=dead, gradients=G), np.zeros((1, 2, 2))
    )


def test_layercam_keeps_positive_gradients_only():
    gradients = np.array([[[[1, -1], [2, 3]], [[-2, 1], [0, -1]]]], np.float32)
    # (0,0): 1*1; (0,1): 2*0 + 3*2; (1,0): 0*3 + 1*0; (1,1): 0
    expected = [[[1, 6], [0, 0]]]
    np.testing.assert_allclose(run("layercam", activations=A, gradients=gradients), expected)


def test_gradcam_plus_plus_shares_the_weight_among_positive_gradients():
    gradients = np.array([[[[1, 0.5], [2, 0]], [[0, -1], [0, 0]]]], np.float32)
    # channel 0, S = 4: alpha = 1 / (2 + 4 * 1) = 1/6 and 1 / (2 + 4 * 2) = 1/10
    #   w_0 = 1/6 * 1 + 1/10 * 2 = 11/30
    # channel 1, S = 4: alpha = 1 / (2 + 4 * 0.5) = 1/4; w_1 = 1/4 * 0.5 = 1/8
    expected = [[[11 / 30, 1 / 4], [33 / 30, 1 / 4]]]
    found = run("gradcam++", activations=A, gradients=gradients)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_gradcam_plus_plus_follows_the_formula_with_powers():
    generator = np.random.default_rng(0)
    activations = generator.uniform(0, 1, (2, 3, 3, 4)).astype("float32")
    gradients = generator.normal(size=(2, 3, 3, 4)).astype("float32")
    g = gradients.astype("float64")
    total = activations.sum((1, 2), keepdims=True, dtype="float64")
    alpha = np.zeros_like(g)
    bottom = 2 * g**2 + g**3 * total
    alpha[bottom != 0] = (g**2)[bottom != 0] / bottom[bottom != 0]
    weights = (alpha * np.maximum(g, 0)).sum((1, 2))
    expected = np.einsum("bhwk,bk->bhw", activations, weights)
    found = run("gradcam++", activations=activations, gradients=gradients)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_gradcam_plus_plus_does_not_explode_with_negative_activations():
    # 2 + g S = 2 - 2 = 0 without the guard: S = -1, g = 2
    activations = np.array([[[[-1.0], [0.0]]]], np.float32)
    gradients = np.array([[[[2.0], [2.0]]]], np.float32)
    # alpha = 1/2 for both positions, w = 1/2 * 2 + 1/2 * 2 = 2
    found = run("gradcam++", activations=activations, gradients=gradients)
    np.testing.assert_allclose(found, [[[-2.0, 0.0]]])


def test_eigencam_projects_on_the_first_singular_vector():
    # A as a matrix: rows (1,0), (0,2), (3,0), (0,2). A^T A = diag(10, 8): v = (1, 0).
    np.testing.assert_allclose(run("eigencam", activations=A), [[[1, 0], [3, 0]]], atol=1e-6)


def test_eigencam_more_positions_than_channels_and_fewer_agree_with_the_svd():
    for shape in ((2, 5, 4, 3), (2, 2, 2, 9)):
        activations = np.random.default_rng(1).normal(size=shape).astype("float32")
        found = run("eigencam", activations=activations).numpy()
        for image in range(2):
            matrix = activations[image].reshape(-1, shape[-1]).astype("float64")
            projection = matrix @ np.linalg.svd(matrix)[2][0]
            projection *= np.sign(projection @ matrix.sum(1))
            np.testing.assert_allclose(found[image].ravel(), projection, atol=1e-5)


def test_eigencam_points_where_the_activations_are_positive():
    activations = np.abs(np.random.default_rng(2).normal(size=(4, 6, 6, 5))).astype("float32")
    assert (run("eigencam", activations=activations).numpy().sum((1, 2)) > 0).all()


def test_eigengradcam_does_so_with_gradient_times_activation():
    # g A: rows (1,0), (0,0), (0,0), (0,0): v = (1, 0)
    found = run("eigengradcam", activations=A, gradients=G)
    np.testing.assert_allclose(found, [[[1, 0], [0, 0]]], atol=1e-6)


def test_ablationcam_divides_by_the_magnitude_of_the_score():
    # y = -2: w_0 = (-2 - -3) / 2 = 1/2, w_1 = (-2 - -1) / 2 = -1/2
    evidence = {"score": np.float32([-2]), "ablated_scores": np.float32([[-3, -1]])}
    expected = [[[0.5, -1.0], [1.5, -1.0]]]
    np.testing.assert_allclose(run("ablationcam", activations=A, **evidence), expected)


def test_ablationcam_with_a_score_of_zero_is_finite():
    evidence = {"score": np.float32([0]), "ablated_scores": np.float32([[-1, 0]])}
    np.testing.assert_allclose(run("ablationcam", activations=A, **evidence), [[[1, 0], [3, 0]]])


def test_scorecam_weighs_by_the_softmax_of_the_scores():
    # softmax(log 3, 0) = 3/4, 1/4
    found = run("scorecam", activations=A, masked_scores=np.float32([[np.log(3), 0]]))
    np.testing.assert_allclose(found, [[[0.75, 0.5], [2.25, 0.5]]], rtol=1e-6)


def test_scorecam_leaves_out_channels_that_were_not_run():
    found = run("scorecam", activations=A, masked_scores=np.float32([[1000, -np.inf]]))
    np.testing.assert_allclose(found, [[[1, 0], [3, 0]]])
    nothing = run("scorecam", activations=A, masked_scores=np.full((1, 2), -np.inf, np.float32))
    np.testing.assert_array_equal(nothing, np.zeros((1, 2, 2)))


def test_the_registry_describes_every_method():
    assert list(METHODS) == [
        "gradcam",
        "gradcam++",
        "hirescam",
        "xgradcam",
        "layercam",
        "eigencam",
        "eigengradcam",
        "ablationcam",
        "scorecam",
    ]
    for described in METHODS.values():
        assert described.summary
        assert described.use_when
        assert described.paper
        assert "map = " in described.function.__doc__


def test_a_method_that_asks_for_unknown_evidence_is_refused(monkeypatch):
    monkeypatch.setitem(METHODS, "wishful", None)  # taken out again afterwards
    method("wishful", use_when="", paper="")(lambda activations, dreams: activations)
    with pytest.raises(TypeError, match=r"wishful asks for .*'dreams'"):
        gradcam.explain(cnn(), images(), method="wishful")


def test_the_evidence_of_every_method_is_registered():
    assert {name for known in METHODS.values() for name in known.evidence} == set(EVIDENCE)


# Identities on whole models. For average pooling and Dense the weights are known: W_kc / Z.


def test_average_pooling_and_dense_make_three_methods_one():
    model, x = cnn(), images()
    head = model.get_layer("scores")
    target = [2, 0, 1]
    found = {
        name: gradcam.explain(model, x, target=target, method=name, relu=False).maps
        for name in ("gradcam", "hirescam", "xgradcam")
    }
    features = keras.Model(model.input, model.get_layer("conv2").output)(x).numpy()
    weights = head.kernel.numpy()[:, target]
    cam = np.einsum("bhwk,kb->bhw", features, weights) / (features.shape[1] * features.shape[2])
    for maps in found.values():
        np.testing.assert_allclose(maps, cam, atol=1e-6)
    scores = model(x).numpy()[[0, 1, 2], target]
    bias = head.bias.numpy()[target]
    np.testing.assert_allclose(found["gradcam"].sum((1, 2)), scores - bias, atol=1e-5)


def test_flatten_and_dense_sum_to_the_score_with_hirescam_only():
    model, x = flatten_cnn(), images(size=10)
    model.layers[-1].bias.assign(np.arange(4.0))
    explain = gradcam.Explainer(model, method="hirescam", relu=False)
    explanation = explain(x, target=1)
    evidence = model(x).numpy()[:, 1] - 1.0
    np.testing.assert_allclose(explanation.maps.sum((1, 2)), evidence, atol=1e-5)
    other = gradcam.explain(model, x, target=1, relu=False).maps.sum((1, 2))
    assert np.abs(other - evidence).max() > 0.01


def test_ablationcam_on_average_pooling_and_dense_is_known():
    model, x = cnn(), images()
    features = keras.Model(model.input, model.get_layer("conv2").output)(x).numpy()
    scores = model(x).numpy()[:, 3]
    means = features.mean((1, 2))
    weights = model.get_layer("scores").kernel.numpy()[:, 3] * means / np.abs(scores)[:, None]
    expected = np.einsum("bhwk,bk->bhw", features, weights)
    found = gradcam.explain(model, x, target=3, method="ablationcam", relu=False).maps
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_ablationcam_behind_average_pooling_alone_leaves_the_channel_of_the_class():
    # No matrix product behind the mean would tell its rank, which a loop's body doesn't.
    conv = keras.layers.Conv2D(3, 3, activation="relu", name="conv")
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Softmax()]
    model, x = keras.Sequential([keras.Input((16, 16, 3)), conv, *head]), images()
    found = gradcam.explain(model, x, target=1, method="ablationcam").maps
    np.testing.assert_allclose(found, conv(x)[..., 1], rtol=1e-4, atol=1e-6)


def test_scorecam_is_what_a_slow_loop_finds():
    model, x = cnn(), images(2)
    features = keras.Model(model.input, model.get_layer("conv2").output)(x).numpy()
    expected = []
    for image in range(2):
        scores = np.full(8, -np.inf)
        for channel in range(8):
            one = features[image, :, :, channel]
            if one.max() > one.min():
                mask = tf.image.resize(one[..., None], (16, 16)).numpy()
                mask = (mask - mask.min()) / (mask.max() - mask.min())
                scores[channel] = model(x[image : image + 1] * mask).numpy()[0, 1]
        weights = np.exp(scores - scores.max())
        expected.append(features[image] @ (weights / weights.sum()))
    found = gradcam.explain(model, x, target=1, method="scorecam", relu=False, batch_size=3).maps
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_a_scaled_score_leaves_the_heatmap_as_it_is(name):
    model, x = cnn(), images()
    plain = gradcam.explain(model, x, target=1, method=name, relu=False)
    head = model.get_layer("scores")
    head.kernel.assign(head.kernel * 3)
    head.bias.assign(head.bias * 3)
    scaled = gradcam.explain(model, x, target=1, method=name, relu=False)
    difference = np.abs(plain.heatmaps - scaled.heatmaps).max()
    if name in {"gradcam++", "scorecam"}:
        assert difference > 1e-4
    else:
        assert difference < 1e-5


@pytest.mark.parametrize("name", METHODS)
def test_a_batch_is_its_images_one_by_one(name):
    model, x = cnn(activation="softmax"), images(4)
    explain = gradcam.Explainer(model, method=name, relu=False, max_channels=5)
    together = explain(x)
    for number in range(4):
        alone = explain(x[number])
        np.testing.assert_allclose(together.maps[number], alone.maps[0], atol=1e-6)
        np.testing.assert_allclose(together.heatmaps[number], alone.heatmaps[0], atol=1e-6)
        assert together.targets[number] == alone.targets[0]


@pytest.mark.parametrize("name", METHODS)
def test_the_gradient_methods_agree_with_finite_differences(name):
    """The gradient itself, through a head that is not linear, in float64."""
    if "gradients" not in METHODS[name].evidence:
        pytest.skip("no gradient")
    keras.utils.set_random_seed(5)
    inputs = keras.Input((4, 4, 3), dtype="float64")
    conv = keras.layers.Conv2D(3, 3, activation="tanh", name="conv", dtype="float64")
    x = conv(inputs)
    x = keras.layers.Flatten(dtype="float64")(x)
    x = keras.layers.Dense(5, activation="tanh", dtype="float64")(x)
    head = keras.Model(inputs, keras.layers.Dense(2, dtype="float64")(x))
    image = images(1, size=4).astype("float64")
    activations = conv(image).numpy()
    after = head.layers[2:]

    def score(values):
        for layer in after:
            values = layer(values)
        return float(values[0, 1])

    gradient = np.zeros_like(activations)
    for place in np.ndindex(activations.shape):
        step = np.zeros_like(activations)
        step[place] = 1e-6
        gradient[place] = (score(activations + step) - score(activations - step)) / 2e-6
    expected = run(
        name, activations=activations.astype("float32"), gradients=gradient.astype("float32")
    )
    found = gradcam.explain(head, image, target=1, layer="conv", method=name, relu=False).maps
    np.testing.assert_allclose(found, expected, atol=1e-5)
