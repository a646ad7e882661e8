"""What is explained: shapes, sides, regions, and what the labels say."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import gradcam
from gradcam.cam.methods import METHODS
from gradcam.targets import (
    Binary,
    Class,
    Difference,
    Output,
    Regression,
    Segmentation,
    Similarity,
)
from tests.support.gradcam_models import cnn, images

NAMES = ["ant", "bee", "cat", "dog"]


def maps(model, target=None, **options):
    return gradcam.explain(model, images(), target, relu=False, **options).maps


def test_no_target_is_each_images_own_top_class():
    model = cnn(activation="softmax")
    x = images(6)
    model.layers[-1].bias.assign(-np.log(model(x).numpy()).mean(0))
    explanation = gradcam.explain(model, x, relu=False)
    top = model(x).numpy().argmax(1)
    assert len(set(top)) > 1
    assert explanation.targets == tuple(top)
    np.testing.assert_array_equal(explanation.outputs.argmax(1), top)
    np.testing.assert_array_equal(explanation.maps, gradcam.explain(model, x, top, relu=False).maps)


@pytest.mark.parametrize(
    "target", [2, np.int64(2), [2, 2, 2], np.full(3, 2), tf.constant(2), "cat"]
)
def test_a_class_in_all_its_forms(target):
    model = cnn()
    explanation = gradcam.explain(model, images(), target, relu=False, class_names=NAMES)
    np.testing.assert_array_equal(explanation.maps, maps(model, Class(2)))
    assert explanation.targets == ("cat",) * 3


def test_names_and_indices_for_each_image():
    model = cnn()
    by_index = gradcam.explain(model, images(), [3, 0, 1], relu=False)
    by_name = gradcam.explain(model, images(), ["dog", "ant", "bee"], relu=False, class_names=NAMES)
    np.testing.assert_array_equal(by_index.maps, by_name.maps)
    assert by_index.targets == (3, 0, 1)
    assert by_name.targets == ("dog", "ant", "bee")
    for number, index in enumerate((3, 0, 1)):
        alone = gradcam.explain(model, images()[number], index, relu=False)
        np.testing.assert_allclose(by_index.maps[number], alone.maps[0], atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_top_k_is_each_class_by_itself(method):
    model, x = cnn(activation="softmax"), images()
    explanation = gradcam.explain(model, x, top_k=3, method=method, relu=False)
    order = np.argsort(-model(x).numpy(), axis=1)[:, :3]
    assert explanation.maps.shape == (3, 3, 5, 5)
    assert explanation.heatmaps.shape == (3, 3, 16, 16)
    assert explanation.scores.shape == (3, 3)
    assert explanation.targets == tuple(map(tuple, order))
    explainer = gradcam.Explainer(model, method=method, relu=False)
    for rank in range(3):
        alone = explainer(x, order[:, rank])
        np.testing.assert_allclose(explanation.maps[:, rank], alone.maps, atol=1e-6)
        np.testing.assert_allclose(explanation.heatmaps[:, rank], alone.heatmaps, atol=1e-5)


def test_the_logit_is_explained_not_the_probability():
    plain, soft = cnn(), cnn(activation="softmax")
    soft.set_weights(plain.get_weights())
    explanation = gradcam.explain(soft, images(), 1, relu=False)
    np.testing.assert_allclose(explanation.maps, maps(plain, 1), atol=1e-7)
    np.testing.assert_allclose(explanation.scores, plain(images()).numpy()[:, 1], rtol=1e-5)
    np.testing.assert_allclose(explanation.outputs, soft(images()).numpy(), rtol=1e-5)
    probability = gradcam.explain(soft, images(), 1, relu=False, score="probability")
    np.testing.assert_allclose(probability.scores, soft(images()).numpy()[:, 1], rtol=1e-5)
    assert np.abs(probability.maps - explanation.maps).max() > 1e-4
    assert not explanation.warnings


@pytest.mark.parametrize(
    "how", ["layer", "activation", "nested", "operation", "reshaped", "subclass"]
)
def test_logits_are_found_wherever_the_softmax_ends_the_model(how):
    plain = cnn()
    inputs = keras.Input((16, 16, 3))
    x = plain(inputs)
    if how == "layer":
        model = keras.Model(inputs, layers.Softmax()(x))
    elif how == "activation":
        model = keras.Model(inputs, layers.Activation("softmax", dtype="float32")(x))
    elif how == "nested":
        head = keras.Sequential([keras.Input((4,)), layers.Softmax()])
        model = keras.Model(inputs, keras.Sequential([keras.Input((4,)), head])(x))
    elif how == "operation":
        model = keras.Model(inputs, keras.ops.softmax(x))
    elif how == "reshaped":
        x = layers.Softmax()(layers.Reshape((1, 4))(x))
        model = keras.Model(inputs, layers.Reshape((4,))(x))
    else:

        class Wrapped(keras.Model):
            def call(self, x):
                return tf.identity(tf.nn.softmax(plain(x)))

        model = Wrapped()
        model.plain = plain
        model(images())
    explanation = gradcam.explain(model, images(), 2, layer="conv2", relu=False)
    np.testing.assert_allclose(explanation.maps, maps(plain, 2), atol=1e-7)
    assert not explanation.warnings


@pytest.mark.parametrize(
    "activations",
    [("softmax", "softmax"), ("softmax", "sigmoid"), ("sigmoid", "softmax"), ("softmax",) * 3],
)
def test_of_several_activations_the_input_of_the_first_is_explained(activations):
    plain = cnn()
    inputs = keras.Input((16, 16, 3))
    x = plain(inputs)
    for activation in activations:
        x = layers.Activation(activation)(x)
    model = keras.Model(inputs, x)
    explanation = gradcam.explain(model, images(), layer="conv2", relu=False)
    expected = gradcam.explain(plain, images(), layer="conv2", relu=False)
    np.testing.assert_allclose(explanation.maps, expected.maps, atol=1e-7)
    np.testing.assert_array_equal(explanation.targets, model(images()).numpy().argmax(1))
    (text,) = explanation.warnings
    assert f"one activation after the other, {activations[0]} and then {activations[-1]}" in text
    assert "Leave one of the two out" in text
    assert not gradcam.explain(model, images(), score="probability").warnings


def test_the_side_of_a_unit_behind_two_sigmoids_is_that_of_the_output():
    plain = cnn(classes=1)
    inputs = keras.Input((16, 16, 3))
    x = layers.Activation("sigmoid")(layers.Activation("sigmoid")(plain(inputs)))
    model = keras.Model(inputs, x)
    plain.layers[-1].bias.assign([-5.0])
    assert (model(images()).numpy() > 0.5).all()
    explanation = gradcam.explain(model, images(), layer="conv2")
    assert explanation.targets == ("positive",) * 3
    np.testing.assert_allclose(explanation.scores, plain(images()).numpy()[:, 0], rtol=1e-5)


def test_a_softmax_of_scaled_probabilities_is_warned_about():
    inputs = keras.Input((16, 16, 3))
    soft = layers.Softmax()(cnn()(inputs))
    model = keras.Model(inputs, layers.Softmax()(soft * 10.0))
    (text,) = gradcam.explain(model, images(), layer="conv2", relu=False).warnings
    assert "are probabilities: the softmax that made them" in text


@pytest.mark.parametrize("how", ["average", "scaled", "normalised"])
def test_probabilities_whose_logits_cannot_be_found_are_warned_about(how):
    plain = cnn()
    inputs = keras.Input((16, 16, 3))
    soft = layers.Softmax()(plain(inputs))
    if how == "average":
        outputs = layers.Average()([soft, layers.Softmax(name="other")(plain(inputs) * 2.0)])
    elif how == "scaled":
        outputs = soft * 0.5
    else:
        positive = keras.ops.exp(plain(inputs))
        outputs = positive / keras.ops.sum(positive, axis=-1, keepdims=True)
    explanation = gradcam.explain(keras.Model(inputs, outputs), images(), 1, layer=None)
    assert len(explanation.warnings) == 1
    assert "are probabilities: the softmax that made them" in explanation.warnings[0]
    assert "Let the model end in the softmax" in explanation.warnings[0]


def test_one_sigmoid_unit_explains_the_predicted_side():
    model = cnn(classes=1, activation="sigmoid")
    x = images(8)
    logits = cnn(classes=1)(x).numpy()[:, 0]
    model.layers[-1].bias.assign([-np.median(logits)])
    yes = model(x).numpy()[:, 0] >= 0.5
    assert 0 < yes.sum() < 8
    explanation = gradcam.explain(model, x, relu=False)
    assert explanation.targets == tuple("positive" if side else "negative" for side in yes)
    for positive in (True, False):
        side = gradcam.explain(model, x, Binary(positive), relu=False)
        chosen = yes == positive
        np.testing.assert_array_equal(explanation.maps[chosen], side.maps[chosen])
    assert (explanation.scores >= 0).all()
    against = gradcam.explain(model, x, Binary(True), relu=False, counterfactual=True)
    no = gradcam.explain(model, x, Binary(False), relu=False)
    np.testing.assert_allclose(against.maps, no.maps, atol=1e-7)
    assert not explanation.warnings
    probability = gradcam.explain(model, x, Binary(False), score="probability")
    np.testing.assert_allclose(probability.scores, 1 - model(x).numpy()[:, 0], atol=1e-6)


def test_two_names_are_the_sides_of_one_unit():
    model = cnn(classes=1, activation="sigmoid")
    for name, positive in (("cat", False), ("dog", True)):
        found = gradcam.explain(model, images(), name, class_names=["cat", "dog"], relu=False)
        np.testing.assert_array_equal(found.maps, maps(model, Binary(positive)))
        assert found.targets == (name,) * 3
    predicted = gradcam.explain(model, images(), class_names=["cat", "dog"])
    assert set(predicted.targets) <= {"cat", "dog"}


@pytest.mark.parametrize("class_names", [None, ["cat", "dog"]])
def test_classes_are_the_sides_of_one_sigmoid_unit(class_names):
    model = cnn(classes=1, activation="sigmoid")
    for index, positive in ((0, False), (1, True)):
        for target in (index, [index] * 3, Output(0, index)):
            found = maps(model, target, class_names=class_names)
            np.testing.assert_array_equal(found, maps(model, Binary(positive)))
    linear = cnn(classes=1)
    np.testing.assert_array_equal(maps(linear, 0), maps(linear, Regression()))


def test_one_linear_unit_is_explained_with_a_warning():
    model = cnn(classes=1)
    explanation = gradcam.explain(model, images(), relu=False)
    assert any(
        "targets.Binary()" in text and "Regression()" in text for text in explanation.warnings
    )
    quantity = gradcam.explain(model, images(), Regression(), relu=False)
    np.testing.assert_array_equal(explanation.maps, quantity.maps)
    assert not quantity.warnings
    assert quantity.targets == ("Regression(index=0)",) * 3
    np.testing.assert_array_equal(maps(model, Binary()), quantity.maps)


def test_an_output_without_an_axis_of_units():
    model = cnn(classes=1)
    flat = keras.Model(model.input, keras.ops.squeeze(model.output, -1))
    np.testing.assert_array_equal(maps(flat, Regression()), maps(model, Regression()))


def segmentation(activation="softmax", classes=3):
    keras.utils.set_random_seed(9)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, padding="same", activation="relu", name="conv"),
            layers.Conv2D(classes, 1, name="logits"),
            layers.Activation(activation),
        ]
    )


def by_hand(model, x, index, mask):
    """For a 1x1 convolution the gradient at a pixel is the class's kernel, inside of the mask."""
    features = model.get_layer("conv")(x).numpy()
    kernel = model.get_layer("logits").kernel.numpy()[0, 0]
    weights = np.stack([kernel[:, i] * m.mean() for i, m in zip(index, mask, strict=True)])
    return np.einsum("bhwk,bk->bhw", features, weights)


def test_segmentation_sums_a_class_over_its_pixels():
    model, x = segmentation(), images(3, size=8)
    wins = model(x).numpy().argmax(-1)
    frequent = [np.bincount(image.ravel(), minlength=3).argmax() for image in wins]
    explanation = gradcam.explain(model, x, relu=False)
    assert explanation.layer == "conv"
    assert explanation.targets == tuple(frequent)
    mask = np.stack([image == index for image, index in zip(wins, frequent, strict=True)])
    np.testing.assert_allclose(explanation.maps, by_hand(model, x, frequent, mask), atol=1e-6)
    chosen = gradcam.explain(model, x, Segmentation([0, 1, 2]), relu=False)
    mask = np.stack([image == index for image, index in zip(wins, (0, 1, 2), strict=True)])
    np.testing.assert_allclose(chosen.maps, by_hand(model, x, (0, 1, 2), mask), atol=1e-6)
    as_class = gradcam.explain(model, x, [0, 1, 2], relu=False)
    np.testing.assert_array_equal(as_class.maps, chosen.maps)


def test_segmentation_takes_a_mask_for_all_or_one_an_image():
    model, x = segmentation(), images(3, size=8)
    one = np.zeros((8, 8), bool)
    one[2:4, 3:6] = True
    found = gradcam.explain(model, x, Segmentation(1, one), relu=False)
    np.testing.assert_allclose(found.maps, by_hand(model, x, [1] * 3, [one] * 3), atol=1e-6)
    many = np.random.default_rng(0).integers(0, 2, (3, 8, 8))
    found = gradcam.explain(model, x, Segmentation([2, 0, 1], many), relu=False, batch_size=2)
    np.testing.assert_allclose(found.maps, by_hand(model, x, [2, 0, 1], many), atol=1e-6)


@pytest.mark.parametrize("method", ["ablationcam", "scorecam", "hirescam"])
def test_other_methods_explain_a_segmentation(method):
    model, x = segmentation(), images(3, size=8)
    together = gradcam.explain(model, x, Segmentation(1), method=method, relu=False)
    assert np.isfinite(together.maps).all()
    for number in range(3):
        alone = gradcam.explain(model, x[number], Segmentation(1), method=method, relu=False)
        np.testing.assert_allclose(together.maps[number], alone.maps[0], atol=1e-5)


def test_a_foreground_mask_of_one_channel():
    model, x = segmentation("sigmoid", classes=1), images(3, size=8)
    found = gradcam.explain(model, x, relu=False)
    mask = model(x).numpy()[..., 0] > 0.5
    np.testing.assert_allclose(found.maps, by_hand(model, x, [0] * 3, mask), atol=1e-6)


def test_a_single_channel_behind_a_sigmoid_has_a_background():
    model, x = segmentation("sigmoid", classes=1), images(3, size=8)
    foreground = model(x).numpy()[..., 0] > 0.5
    assert foreground.any((1, 2)).all()
    assert not foreground.all((1, 2)).any()
    yes = by_hand(model, x, [0] * 3, foreground)
    no = -by_hand(model, x, [0] * 3, ~foreground)
    for target in (1, Segmentation(1), Binary(), Output(0, 1), None):
        np.testing.assert_allclose(maps_of(model, x, target).maps, yes, atol=1e-6)
    for target in (0, Segmentation(0), [0] * 3, Binary(positive=False)):
        np.testing.assert_allclose(maps_of(model, x, target).maps, no, atol=1e-6)
    each = maps_of(model, x, Segmentation([0, 1, 0]))
    np.testing.assert_allclose(each.maps, np.stack([no[0], yes[1], no[2]]), atol=1e-6)
    named = gradcam.explain(model, x, "sky", class_names=["sky", "bird"], relu=False)
    np.testing.assert_allclose(named.maps, no, atol=1e-6)
    assert named.targets == ("sky",) * 3
    most = maps_of(model, x, Binary(positive=None))
    frequent = foreground.mean((1, 2)) > 0.5
    assert most.targets == tuple(frequent.astype(int))
    probability = gradcam.explain(model, x, Segmentation(0), score="probability")
    p = 1 - model(x).numpy()[..., 0]
    np.testing.assert_allclose(probability.scores, (p * ~foreground).sum((1, 2)), rtol=1e-5)
    with pytest.raises(gradcam.TargetError, match=r"Class 2 is out of range.*2 classes"):
        maps_of(model, x, Segmentation(2))


def maps_of(model, x, target):
    return gradcam.explain(model, x, target, relu=False)


@pytest.mark.parametrize(
    "nest",
    [lambda m: m[None], lambda m: m[..., None], lambda m: m[None, ..., None], lambda m: m.tolist()],
)
def test_one_mask_for_all_in_other_shapes(nest):
    model, x = segmentation(), images(3, size=8)
    mask = np.zeros((8, 8))
    mask[2:5, 1:7] = 1
    expected = maps_of(model, x, Segmentation(1, mask))
    found = maps_of(model, x, Segmentation(1, nest(mask)))
    np.testing.assert_array_equal(found.maps, expected.maps)
    many = np.stack([mask, mask, 1 - mask])
    expected = maps_of(model, x, Segmentation(1, many))
    found = maps_of(model, x, Segmentation(1, many[..., None]))
    np.testing.assert_array_equal(found.maps, expected.maps)


@pytest.mark.parametrize("method", ["gradcam", "ablationcam", "scorecam"])
@pytest.mark.parametrize("ending", ["softmax", "sigmoid"])
def test_similarity_compares_what_the_model_returns(ending, method):
    model, x = cnn(activation=ending), images()
    returned = model(x).numpy()
    reference = returned[1]
    found = gradcam.explain(model, x, Similarity(reference), method=method)
    norms = np.linalg.norm(returned, axis=1) * np.linalg.norm(reference)
    np.testing.assert_allclose(found.scores, returned @ reference / norms, rtol=1e-5)
    assert found.scores[1] == pytest.approx(1, abs=1e-6)
    in_an_output = gradcam.explain(model, x, Output(0, Similarity(reference)), method=method)
    np.testing.assert_array_equal(in_an_output.maps, found.maps)


def test_a_class_that_wins_nowhere_is_said():
    model, x = segmentation(), images(1, size=8)
    model.get_layer("logits").bias.assign([9.0, 0.0, -9.0])
    explanation = gradcam.explain(model, x, Segmentation(2))
    np.testing.assert_array_equal(explanation.maps, 0)
    assert "image 0: the gradient of class 2 is zero" in explanation.warnings[0]
    assert (
        "the class may win" in explanation.warnings[0]
        or "wins at no pixel" in (explanation.warnings[0])
    )


def test_similarity_is_the_cosine():
    model, x = cnn(), images()
    reference = np.array([1.0, -2.0, 0.5, 3.0])
    output = model(x).numpy()
    explanation = gradcam.explain(model, x, Similarity(reference), relu=False)
    cosine = output @ reference / np.linalg.norm(output, axis=1) / np.linalg.norm(reference)
    np.testing.assert_allclose(explanation.scores, cosine, rtol=1e-5)
    each = gradcam.explain(model, x, Similarity(np.stack([reference] * 3)), relu=False)
    np.testing.assert_allclose(each.maps, explanation.maps, atol=1e-7)


def test_difference_is_linear_in_its_two_targets():
    model = cnn()
    found = maps(model, Difference(1, 3))
    np.testing.assert_allclose(found, maps(model, 1) - maps(model, 3), atol=1e-6)


def test_output_takes_whatever_a_target_can_be():
    inputs = keras.Input((16, 16, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(inputs))
    kind = layers.Dense(3, activation="softmax", name="kind")(pooled)
    age = layers.Dense(1, name="age")(pooled)
    model = keras.Model(inputs, [kind, age])
    alone = keras.Model(inputs, kind)
    np.testing.assert_allclose(maps(model, Output("kind", 2)), maps(alone, 2), atol=1e-7)
    np.testing.assert_allclose(maps(model, Output(0)), maps(alone), atol=1e-7)
    difference = Output("kind", Difference(0, 1))
    np.testing.assert_allclose(maps(model, difference), maps(alone, Difference(0, 1)), atol=1e-7)
    first = gradcam.explain(model, images(), Output("kind"))
    np.testing.assert_array_equal(first.targets, alone(images()).numpy().argmax(1))


def test_the_top_classes_of_one_of_several_outputs():
    inputs = keras.Input((16, 16, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(inputs))
    kind = layers.Dense(3, activation="softmax", name="kind")(pooled)
    model = keras.Model(inputs, [kind, layers.Dense(1, name="age")(pooled)])
    alone = gradcam.explain(keras.Model(inputs, kind), images(), top_k=2, relu=False)
    found = gradcam.explain(model, images(), Output("kind"), top_k=2, relu=False)
    assert found.targets == alone.targets
    np.testing.assert_allclose(found.maps, alone.maps, atol=1e-7)
    with pytest.raises(gradcam.TargetError, match="leave top_k out"):
        gradcam.explain(model, images(), Output("age"), top_k=2)


def test_a_function_of_the_outputs():
    model = cnn(activation="softmax")
    found = maps(model, lambda scores: scores[:, 1] - scores[:, 3])
    np.testing.assert_allclose(found, maps(model, Difference(1, 3)), atol=1e-6)


def test_a_counterfactual_is_the_negative_side():
    model = cnn()
    for method in ("gradcam", "hirescam", "xgradcam", "ablationcam"):
        positive = maps(model, 1, method=method)
        negative = gradcam.explain(model, images(), 1, method=method, counterfactual=True)
        np.testing.assert_allclose(negative.maps, np.maximum(-positive, 0), atol=1e-6)
        np.testing.assert_allclose(negative.scores, model(images()).numpy()[:, 1], rtol=1e-5)


def test_eigencam_says_that_it_does_not_look_at_the_target():
    model = cnn()
    explanation = gradcam.explain(model, images(), 1, method="eigencam")
    assert "'eigencam' does not look at the target" in explanation.warnings[0]
    assert not gradcam.explain(model, images(), method="eigencam").warnings


@pytest.mark.parametrize(
    ("named", "indexed"),
    [
        (Class("bee"), Class(1)),
        (Class(["dog", "ant", "bee"]), Class([3, 0, 1])),
        (Difference("ant", Class("bee")), Difference(0, 1)),
        (Output(0, "cat"), Output(0, 2)),
        (Output(0, Difference("cat", 3)), Output(0, Difference(2, 3))),
    ],
)
def test_names_inside_of_targets(named, indexed):
    model = cnn()
    np.testing.assert_array_equal(
        maps(model, named, class_names=NAMES), maps(model, indexed, class_names=NAMES)
    )
    with pytest.raises(gradcam.errors.TargetError, match="no names to look it up in"):
        maps(model, named)
    with pytest.raises(gradcam.errors.TargetError, match="not one of class_names"):
        maps(model, named, class_names=["one", "two", "three", "four"])


def test_a_name_in_a_segmentation():
    model, x = segmentation("softmax", classes=4), images(3, size=8)
    named = gradcam.explain(model, x, Segmentation("cat"), class_names=NAMES)
    np.testing.assert_array_equal(named.maps, gradcam.explain(model, x, Segmentation(2)).maps)
    assert named.targets == ("cat",) * 3
