"""SavedModels: whoever made them, they are explained as the function that they are."""

import pathlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import gradcam
from tests.support import saved_model_makers as makers
from tests.support.gradcam_models import cnn, images

X = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")


def exported(model, folder):
    model.export(str(folder))
    return gradcam.load_model(folder)


def paths(model):
    return [info.path for info in gradcam.layers(model)]


def chosen(model):
    return next(info.path for info in gradcam.layers(model) if info.chosen)


def gradcam_by_hand(net, x, index, softmax=True):
    """Grad-CAM of `Net` by its definition, with a tape."""
    features = net.second(net.first(tf.constant(x)))
    with tf.GradientTape() as tape:
        tape.watch(features)
        score = (tf.reduce_mean(features, (1, 2)) @ net.head)[:, index]
    weights = tf.reduce_mean(tape.gradient(score, features), (1, 2))
    return tf.nn.relu(tf.einsum("bhwk,bk->bhw", features, weights)).numpy()


def test_a_plain_module_is_explained_by_its_definition(tmp_path):
    net = makers.save_module(tmp_path, lambda net, x: {"p": tf.nn.softmax(net.scores(x))})
    model = gradcam.load_model(tmp_path)
    assert [(spec.name, spec.shape, spec.dtype) for spec in model.inputs] == [
        ("images", (None, 8, 8, 3), "float32")
    ]
    assert [(spec.name, spec.shape) for spec in model.outputs] == [("p", (None, 3))]
    explanation = gradcam.explain(model, X, target=2)
    assert explanation.layer == "second"
    np.testing.assert_allclose(explanation.maps, gradcam_by_hand(net, X, 2), atol=1e-6)
    np.testing.assert_allclose(explanation.outputs, tf.nn.softmax(net.scores(X)), atol=1e-6)
    # The logit behind the softmax is what was explained.
    np.testing.assert_allclose(explanation.scores, net.scores(X)[:, 2], atol=1e-6)


def test_a_module_without_signatures_is_called(tmp_path):
    class Hub(makers.Net):
        @tf.function
        def __call__(self, images, training=False):
            return self.scores(images) + (100.0 if training else 0.0)

    net = Hub()
    net(tf.zeros((2, 8, 8, 3)), training=True)
    net(tf.zeros((2, 8, 8, 3)))
    net.__call__.get_concrete_function(makers.spec(), training=False)
    tf.saved_model.save(net, str(tmp_path))
    model = gradcam.load_model(tmp_path)
    assert model.signature == "__call__"
    assert model.inputs[0].shape == (None, 8, 8, 3)  # the open trace, without training
    explanation = gradcam.explain(model, X, target=1)
    np.testing.assert_allclose(explanation.outputs, net.scores(X), atol=1e-5)
    np.testing.assert_allclose(explanation.maps, gradcam_by_hand(net, X, 1), atol=1e-6)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_graph_of_tensorflow_1(tmp_path, frozen):
    makers.save_graph(tmp_path, makers.graph_net, frozen)
    model = gradcam.load_model(tmp_path)
    assert paths(model) == ["conv1", "conv2", "logits", "probabilities"]
    for method in gradcam.METHODS:
        explanation = gradcam.explain(model, X, method=method)
        assert explanation.layer == "conv2"
        assert explanation.heatmaps.shape == (2, 8, 8)
    np.testing.assert_allclose(explanation.outputs.sum(1), 1.0, atol=1e-6)
    assert abs(np.log(explanation.outputs).max(1) - explanation.scores).max() > 1e-6


def test_a_partitioned_variable_and_a_graph_that_was_saved_twice(tmp_path):
    def build(x):
        split = tf.compat.v1.fixed_size_partitioner(2, axis=3)
        with tf.compat.v1.variable_scope("conv", partitioner=split):
            weights = tf.compat.v1.get_variable("weights", (3, 3, 3, 4))
            y = tf.nn.conv2d(x, tf.convert_to_tensor(weights), 1, "SAME")
        tf.compat.v1.train.Saver()  # a second saver, as training leaves behind
        return {"y": tf.reduce_mean(y, (1, 2))}

    makers.save_graph(tmp_path, build)
    assert gradcam.explain(gradcam.load_model(tmp_path), X).layer == "conv"


def test_keras_2(tmp_path):
    makers.keras_2(
        """
        keras.utils.set_random_seed(0)
        inner = keras.Sequential([
            keras.Input((8, 8, 3)), layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
        ], name="encoder")
        a, b = keras.Input((8, 8, 3), name="right"), keras.Input((8, 8, 3), name="left")
        x = layers.Subtract(name="difference")([inner(a), inner(b)])
        x = layers.GlobalAveragePooling2D()(x)
        model = keras.Model([a, b], layers.Dense(2, activation="softmax", name="p")(x))
        model.compile("adam", "categorical_crossentropy")
        model.save(folder, save_format="tf")
        rows = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
        np.save(folder + ".npy", model([rows, 2 * rows]).numpy())
        """,
        folder=tmp_path / "m",
    )
    model = gradcam.load_model(tmp_path / "m")
    # In the order of the model, though a signature keeps its names only.
    assert [spec.name for spec in model.inputs] == ["right", "left"]
    assert paths(model)[:6] == [
        "encoder[0]", "encoder[0]/conv", "encoder[0]/norm",
        "encoder[1]", "encoder[1]/conv", "encoder[1]/norm",
    ]  # fmt: skip
    explanation = gradcam.explain(model, [X, 2 * X], layer="encoder[1]/norm")
    np.testing.assert_allclose(explanation.outputs, np.load(tmp_path / "m.npy"), atol=1e-6)
    by_name = gradcam.explain(model, {"left": 2 * X, "right": X}, layer="encoder[1]/norm")
    np.testing.assert_array_equal(by_name.maps, explanation.maps)
    assert chosen(model) == "difference"


def test_keras_3_names_are_the_layers_own(tmp_path):
    backbone = keras.Sequential(
        [keras.Input((16, 16, 3)), layers.Conv2D(4, 3, name="conv_1"), layers.ReLU(name="relu_2")],
        name="backbone",
    )
    left, right = keras.Input((16, 16, 3)), keras.Input((16, 16, 3))
    x = layers.Add(name="sum")([backbone(left), backbone(right)])
    x = layers.Conv2D(4, 3, activation="relu")(x)
    outputs = layers.Dense(3)(layers.GlobalAveragePooling2D(name="pool")(x))
    model = keras.Model([left, right], outputs)
    assert paths(exported(model, tmp_path)) == paths(model)


def test_a_fixed_batch(tmp_path):
    net = makers.save_module(
        tmp_path, lambda net, x: net.scores(x), signature_spec=makers.spec(batch=2)
    )
    model = gradcam.load_model(tmp_path)
    np.testing.assert_allclose(
        gradcam.explain(model, X, 0).maps, gradcam_by_hand(net, X, 0), atol=1e-6
    )
    with pytest.raises(gradcam.ImageError, match="2"):
        gradcam.explain(model, np.zeros((3, 8, 8, 3)))
    with pytest.raises(gradcam.ModelError, match="exactly 2"):
        gradcam.explain(model, X, 0, method="scorecam")


def test_open_sizes_and_one_channel(tmp_path):
    inputs = keras.Input((None, None, 1))
    x = layers.GlobalMaxPooling2D()(layers.Conv2D(3, 3, activation="relu", name="conv")(inputs))
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))
    loaded = exported(model, tmp_path)
    assert loaded.inputs[0].shape == (None, None, None, 1)
    for size in (7, 12):
        x = images(2, size, channels=1)
        np.testing.assert_allclose(
            gradcam.explain(loaded, x).maps, gradcam.explain(model, x).maps, atol=1e-6
        )


def test_half_precision(tmp_path):
    net = makers.Net(dtype=tf.float16)
    makers.save_module(tmp_path, lambda net, x: net.scores(x), net, makers.spec(dtype=tf.float16))
    explanation = gradcam.explain(gradcam.load_model(tmp_path), X, target=0)
    full = makers.Net()
    np.testing.assert_allclose(explanation.maps, gradcam_by_hand(full, X, 0), atol=2e-2)


def test_several_signatures(tmp_path):
    net = makers.Net()
    functions = {
        name: tf.function(lambda images, scale=scale: scale * net.scores(images))
        for name, scale in (("small", 1.0), ("large", 10.0))
    }
    traced = {name: f.get_concrete_function(makers.spec()) for name, f in functions.items()}
    tf.saved_model.save(net, str(tmp_path), signatures=traced)
    with pytest.raises(gradcam.ModelError, match=r"serving_default.*large, small.*signature="):
        gradcam.load_model(tmp_path)
    with pytest.raises(gradcam.ModelError, match=r"no signature 'lage'.*'large'.*small"):
        gradcam.load_model(tmp_path, signature="lage")
    small, large = (
        gradcam.explain(gradcam.load_model(tmp_path, signature=name), X, target=0).scores
        for name in ("small", "large")
    )
    np.testing.assert_allclose(10 * small, large, rtol=1e-5)


def test_several_outputs_by_name_and_an_output_that_is_no_score(tmp_path):
    def outputs(net, x):
        scores = net.scores(x)
        return {"b": tf.nn.sigmoid(scores), "a": scores, "index": tf.argmax(scores, -1)}

    net = makers.save_module(tmp_path, outputs)
    model = gradcam.load_model(tmp_path)
    assert [spec.name for spec in model.outputs] == ["a", "b", "index"]
    with pytest.raises(gradcam.TargetError, match="'a', 'b'"):
        gradcam.explain(model, X)
    targets = gradcam.targets
    first, second = (
        gradcam.explain(model, X, targets.Output(name, targets.Class(1))) for name in "ab"
    )
    np.testing.assert_array_equal(first.maps, second.maps)  # the sigmoid's input is used
    assert set(first.outputs) == {"a", "b"}
    np.testing.assert_allclose(first.outputs["a"], net.scores(X), atol=1e-6)
    by_function = gradcam.explain(model, X, lambda outputs: outputs["a"][:, 1])
    np.testing.assert_allclose(by_function.maps, first.maps, atol=1e-6)


def test_outputs_without_names_are_also_known_by_their_layers(tmp_path):
    inputs = keras.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(inputs))
    head = keras.Sequential([keras.Input((4,)), layers.Dense(2, name="inner")], name="size")
    model = keras.Model(inputs, [layers.Dense(3, activation="softmax", name="kind")(x), head(x)])
    loaded = exported(model, tmp_path)
    output = gradcam.targets.Output
    for name, number in (("kind", 0), ("size", 1)):
        target = gradcam.targets.Class(1)
        expected = gradcam.explain(model, X, output(name, target)).maps
        for same in (name, f"output_{number}", number):
            found = gradcam.explain(loaded, X, output(same, target)).maps
            np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(
        gradcam.TargetError, match=r"'kind'.*output_0, output_1, kind,? (and )?size"
    ):
        gradcam.explain(loaded, X, output("kinds", gradcam.targets.Class(1)))


def test_segmentation(tmp_path):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="features")(inputs)
    model = keras.Model(inputs, layers.Conv2D(3, 1, activation="softmax", name="classes")(x))
    loaded = exported(model, tmp_path)
    explanation = gradcam.explain(loaded, X)
    assert explanation.layer == "features"
    np.testing.assert_allclose(explanation.maps, gradcam.explain(model, X).maps, atol=1e-6)


def channels_first_twins():
    """The same layers over channels first, and over channels last."""
    twins = []
    for data_format in ("channels_first", "channels_last"):
        keras.utils.set_random_seed(0)
        options = {"data_format": data_format}
        inputs = keras.Input((3, 8, 10) if data_format == "channels_first" else (8, 10, 3))
        x = layers.Conv2D(4, 3, (1, 2), "same", dilation_rate=1, name="conv", **options)(inputs)
        x = layers.MaxPooling2D((2, 1), **options)(x)
        x = layers.DepthwiseConv2D(2, **options)(x)
        x = layers.Conv2DTranspose(5, (2, 3), (2, 1), activation="relu", name="up", **options)(x)
        x = layers.ReLU(name="after")(layers.AveragePooling2D((1, 2), 1, **options)(x))
        x = layers.GlobalAveragePooling2D(**options)(x)
        twins.append(keras.Model(inputs, layers.Dense(2)(x)))
    return twins


def test_channels_first_on_every_processor(tmp_path):
    first, last = channels_first_twins()
    loaded = exported(first, tmp_path)
    x = np.random.default_rng(0).normal(size=(2, 3, 8, 10)).astype("float32")
    for layer in (None, "conv"):
        ours = gradcam.explain(loaded, x, 1, layer)
        theirs = gradcam.explain(last, np.moveaxis(x, 1, -1), 1, layer)
        assert ours.layer == theirs.layer
        assert ours.heatmaps.shape == (2, 8, 10)
        np.testing.assert_allclose(ours.maps, theirs.maps, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(ours.outputs, theirs.outputs, rtol=1e-4, atol=1e-6)


def test_a_custom_gradient_is_kept(tmp_path):
    @tf.custom_gradient
    def turned(x):
        return x * 2.0, lambda upstream: -3.0 * upstream * x

    net = makers.save_module(
        tmp_path,
        lambda net, x: tf.reduce_mean(turned(net.second(net.first(x))), (1, 2)) @ net.head,
    )
    features = net.second(net.first(tf.constant(X)))
    gradient = -3.0 * features * net.head[:, 0] / 64.0
    expected = tf.nn.relu(tf.reduce_sum(gradient * features, -1))
    explanation = gradcam.explain(gradcam.load_model(tmp_path), X, 0, "second", "hirescam")
    np.testing.assert_allclose(explanation.maps, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("with_weights", [True, False])
def test_an_inner_function_compiled_by_xla(tmp_path, with_weights):
    net = makers.Net()
    if with_weights:
        inner = tf.function(net.scores, jit_compile=True)
        function = lambda net, x: inner(x)  # noqa: E731
    else:
        tail = tf.function(lambda x: tf.reduce_mean(tf.sin(x), (1, 2)), jit_compile=True)
        function = lambda net, x: tail(net.second(net.first(x))) @ net.head  # noqa: E731
    makers.save_module(tmp_path, function, net)
    model = gradcam.load_model(tmp_path)
    explanation = gradcam.explain(model, X, 1)
    assert explanation.layer == "second"
    expected = gradcam_by_hand(net, X, 1)
    if not with_weights:
        features = net.second(net.first(tf.constant(X)))
        weights = tf.reduce_mean(tf.cos(features) / 64.0, (1, 2)) * net.head[:, 1]
        expected = tf.nn.relu(tf.einsum("bhwk,bk->bhw", features, weights))
    np.testing.assert_allclose(explanation.maps, expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["loop", "conditional"])
def test_a_layer_inside_control_flow_is_named_and_the_others_work(tmp_path, kind):
    def function(net, x):
        x = net.first(x)
        if kind == "loop":
            _, y = tf.while_loop(
                lambda i, y: i < 2, lambda i, y: (i + 1, y + net.second(x)),
                (0, tf.zeros((tf.shape(x)[0], 8, 8, 5))),
                shape_invariants=(tf.TensorShape(()), tf.TensorShape((None, 8, 8, 5))),
            )  # fmt: skip
        else:
            y = tf.cond(tf.reduce_sum(x) > 0, lambda: net.second(x), lambda: -net.second(x))
        return tf.reduce_mean(y, (1, 2)) @ net.head

    makers.save_module(tmp_path, function)
    model = gradcam.load_model(tmp_path)
    word = "a loop" if kind == "loop" else "a conditional"
    with pytest.raises(gradcam.LayerNotFoundError, match=rf"'second' runs inside {word}.*first"):
        gradcam.explain(model, X, 0, layer="second")
    assert gradcam.explain(model, X, 0, layer="first").maps.shape == (2, 8, 8)


def test_a_dense_classifier_has_no_feature_map(tmp_path):
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(8, "relu"), layers.Dense(10)]
    )
    with pytest.raises(gradcam.NotAFeatureMapError, match="no feature map"):
        gradcam.explain(exported(model, tmp_path), np.zeros((1, 28, 28, 1)))


def test_explaining_advances_nothing_in_the_model(tmp_path):
    class Counting(makers.Net):
        def __init__(self):
            super().__init__()
            self.calls = tf.Variable(0, trainable=False)

    def function(net, x):
        net.calls.assign_add(1)
        return net.scores(x)

    net = makers.save_module(tmp_path, function, Counting())
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    model = gradcam.load_model(tmp_path)
    explainer = gradcam.Explainer(model)
    first, second = explainer(X, 0), explainer(X, 0)
    np.testing.assert_array_equal(first.maps, second.maps)
    np.testing.assert_allclose(first.maps, gradcam_by_hand(net, X, 0), atol=1e-6)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_the_directory_is_not_needed_once_it_is_open(tmp_path):
    folder = tmp_path / "m"
    net = makers.save_module(folder, lambda net, x: net.scores(x))
    explainer = gradcam.Explainer(gradcam.load_model(folder))
    shutil.rmtree(folder)
    np.testing.assert_allclose(explainer(X, 0).maps, gradcam_by_hand(net, X, 0), atol=1e-6)


def test_tables_of_keras_preprocessing(tmp_path):
    picture, number = keras.Input((8, 8, 3), name="picture"), keras.Input((1,), dtype="int64")
    lookup = layers.IntegerLookup(vocabulary=[7, 9], output_mode="one_hot")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(picture))
    x = layers.Concatenate()([x, lookup(number)])
    model = keras.Model([picture, number], layers.Dense(2)(x))
    loaded = exported(model, tmp_path)
    rows = [X, np.array([[9], [7]])]
    explanation = gradcam.explain(loaded, rows, 0)
    np.testing.assert_allclose(explanation.outputs, model(rows), atol=1e-5)


def test_an_unknown_layer_gets_a_suggestion(tmp_path):
    loaded = exported(cnn(), tmp_path)
    with pytest.raises(gradcam.LayerNotFoundError, match="Did you mean 'conv2'"):
        gradcam.explain(loaded, images(1), layer="konv2")


def test_it_says_what_it_is(tmp_path):
    makers.save_module(tmp_path / "flowers", lambda net, x: net.scores(x))
    text = repr(gradcam.load_model(pathlib.Path(tmp_path, "flowers")))
    assert text == ("<SavedModel 'flowers', serving_default: images ?x8x8x3 -> output_0 ?x3>")
