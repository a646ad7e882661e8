"""Several methods, layers and classes from one run, and programs that are kept between calls."""

import gc
import weakref

import keras
import numpy as np
import pytest

import gradcam
from gradcam.cam import programs

GRADIENT_METHODS = ["gradcam", "gradcam++", "hirescam", "xgradcam", "layercam"]
RUNS = []


class Counted(keras.layers.Layer):
    """Says in a list outside of itself when its Python runs: once for each trace."""

    def call(self, x):
        RUNS.append(self.name)
        return x * 1.0


def model():
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((10, 10, 3)),
            layers.Conv2D(4, 3, activation="relu", name="first"),
            Counted(name="counted"),
            layers.Conv2D(5, 3, activation="relu", name="second"),
            layers.Conv2D(6, 3, activation="relu", name="third"),
            layers.Flatten(),
            layers.Dense(4, activation="softmax", name="scores"),
        ]
    )


def images(count=3):
    return np.random.default_rng(0).uniform(size=(count, 10, 10, 3)).astype(np.float32)


def operations(explainer, kind):
    """How many operations of a kind the last traced program has."""
    program = list(explainer._programs._programs.values())[-1]
    return sum(op.type == kind for op in program.function.graph.get_operations())


def test_each_of_several_methods_gives_what_it_gives_alone():
    net, x = model(), images()
    methods = [*GRADIENT_METHODS, "eigencam", "eigengradcam", "ablationcam", "scorecam"]
    together = gradcam.Explainer(net, method=methods)(x, target=1)
    assert list(together) == methods
    for name in methods:
        alone = gradcam.Explainer(net, method=name)(x, target=1)
        assert together[name].method == name
        assert together[name].layer == alone.layer == "third"
        assert together[name].notes == alone.notes
        np.testing.assert_allclose(together[name].maps, alone.maps, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(together[name].heatmaps, alone.heatmaps, atol=1e-5)


def test_methods_share_one_forward_and_one_backward_pass():
    net, x = model(), images()
    explainer = gradcam.Explainer(net, "second", GRADIENT_METHODS)
    explainer(x)
    assert operations(explainer, "Conv2D") == 3
    assert operations(explainer, "Conv2DBackpropInput") == 1  # of the third layer


def test_classes_add_backward_passes_only():
    net, x = model(), images()
    explainer = gradcam.Explainer(net, "second", GRADIENT_METHODS)
    explainer(x, top_k=3)
    assert operations(explainer, "Conv2D") == 3
    assert operations(explainer, "Conv2DBackpropInput") == 3  # of the third layer, a class each


def test_several_layers_take_one_backward_pass():
    net, x = model(), images()
    explainer = gradcam.Explainer(net, ["second", "third"], fuse=None)
    second, third = explainer.each(x, [(2, None)])
    assert operations(explainer, "Conv2DBackpropInput") == 1
    for found, layer in ((second, "second"), (third, "third")):
        alone = gradcam.Explainer(net, layer)(x, target=2)
        assert found.layer == layer
        np.testing.assert_allclose(found.maps, alone.maps, rtol=1e-5, atol=1e-6)


def test_layers_that_are_kept_apart_are_no_single_answer():
    explainer = gradcam.Explainer(model(), ["second", "third"], fuse=None)
    with pytest.raises(gradcam.GradCamError, match=r"explainer\.each"):
        explainer(images())


def test_several_targets_at_once_are_those_of_one_call_each():
    net, x = model(), images()
    explainer = gradcam.Explainer(net, method=["gradcam", "layercam"], class_names=list("abcd"))
    found = explainer.each(x, [("c", None), (None, 2), ([0, 1, 2], None)])
    assert [f.method for f in found] == ["gradcam"] * 3 + ["layercam"] * 3
    for number, (target, top_k) in enumerate([("c", None), (None, 2), ([0, 1, 2], None)]):
        alone = gradcam.Explainer(net, class_names=list("abcd"))(x, target, top_k)
        assert found[number].targets == alone.targets
        np.testing.assert_allclose(found[number].scores, alone.scores, rtol=1e-6)
        np.testing.assert_allclose(found[number].maps, alone.maps, rtol=1e-5, atol=1e-6)


def test_a_note_is_said_of_its_own_method_and_class():
    """layercam keeps positive gradients only, so it alone is blank where all are negative."""
    net = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Conv2D(1, 1, activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, name="scores"),
        ]
    )
    net.get_layer("conv").set_weights([np.ones((1, 1, 1, 1)), np.zeros(1)])
    net.get_layer("scores").set_weights([np.array([[1.0, -1.0]]), np.zeros(2)])
    explainer = gradcam.Explainer(net, method=["gradcam", "layercam"], relu=False)
    found = explainer.each(np.ones((1, 4, 4, 1)), [(0, None), (1, None)])
    assert [[note.code for note in f.notes] for f in found] == [
        [],
        [],
        [],
        ["warn-no-positive-gradient"],
    ]
    assert found[3].notes[0].target == 1


def test_where_another_layer_turns_out_to_be_meant_it_is_traced_for_that():
    """The last convolution makes the score itself, so the one before it is the feature map."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="map")(inputs)
    net = keras.Model(inputs, keras.layers.Conv2D(2, 1, name="mask")(x))
    found = gradcam.explain(net, images()[:, :8, :8])
    assert found.layer == "map"
    assert found.maps.max() > 0


def test_a_second_call_of_explain_traces_nothing():
    net, x = model(), images()
    RUNS.clear()
    first = gradcam.explain(net, x)
    traced = len(RUNS)
    assert traced == 1
    again = gradcam.explain(net, x[:2])
    assert len(RUNS) == traced
    np.testing.assert_allclose(again.maps, first.maps[:2], rtol=1e-6)
    gradcam.explain(net, x, method="layercam")
    assert len(RUNS) == traced + 1


def test_what_is_kept_sees_trained_weights_and_changed_layers():
    net, x = model(), images()
    net.compile("sgd", "sparse_categorical_crossentropy")
    before = gradcam.explain(net, x, target=1)
    net.fit(x, np.array([0, 1, 2]), epochs=1, verbose=0)
    RUNS.clear()
    after = gradcam.explain(net, x, target=1)
    assert not RUNS  # trained, but not traced again
    assert np.abs(after.scores - before.scores).max() > 1e-6
    np.testing.assert_allclose(after.outputs, net.predict(x, verbose=0), rtol=1e-5)
    net.get_layer("third").activation = keras.activations.linear
    linear = gradcam.explain(net, x, target=1)  # Keras' own predict would still be the old one
    np.testing.assert_allclose(linear.outputs, net(x, training=False), rtol=1e-5)
    assert np.abs(linear.outputs - after.outputs).max() > 1e-6


def test_a_function_in_the_place_of_one_that_is_gone_is_another():
    """Python gives its id again, so the id alone would take it for the old one."""
    net, x = model(), images(1)
    layer = net.get_layer("third")
    for factor in (1.0, 2.0, 3.0, 4.0):
        layer.activation = lambda t, factor=factor: t * factor
        found = gradcam.explain(net, x, target=1)
        np.testing.assert_allclose(found.outputs, net(x, training=False), rtol=1e-5)
        layer.activation = None


class Tempered(keras.layers.Layer):
    """Keeps what it computes with in all the places that people choose."""

    def __init__(self, **options):
        super().__init__(**options)
        self._hidden = 1.0
        self.table = {"factor": 1.0}
        self.array = np.ones(1, np.float32)

    def call(self, x):
        return x * (self._hidden * self.table["factor"]) * self.array


@pytest.mark.parametrize("change", ["private", "dict", "array", "policy"])
def test_a_layer_that_was_changed_is_traced_anew(change):
    layer = Tempered(name="tempered")
    net = keras.Sequential([*model().layers[:-1], layer, keras.layers.Dense(4, name="scores")])
    net.build((None, 10, 10, 3))
    x = images(1)
    before = gradcam.explain(net, x, target=1).outputs
    if change == "private":
        layer._hidden = 3.0
    elif change == "dict":
        layer.table["factor"] = 3.0
    elif change == "array":
        layer.array[:] = 3.0
    else:
        layer.dtype_policy = keras.DTypePolicy("mixed_float16")
    after = gradcam.explain(net, x, target=1).outputs
    np.testing.assert_allclose(after, net(x, training=False), rtol=1e-5)
    assert np.abs(after - before).max() > 0


def test_a_target_function_that_holds_the_model_does_not_keep_it():
    net, x = model(), images(1)
    gradcam.explain(net, x, target=lambda outputs, net=net: outputs[:, 0] + 0 * net(x)[:, 0])
    gone = weakref.ref(net)
    del net
    gc.collect()
    gc.collect()
    assert gone() is None


def test_every_method_by_the_registry_itself():
    found = gradcam.explain(model(), images(1), method=gradcam.METHODS, max_channels=2)
    assert list(found) == list(gradcam.METHODS)
    with pytest.raises(gradcam.GradCamError, match="Expected a name, or a list of names"):
        gradcam.explain(model(), images(1), method=[])


@pytest.mark.parametrize("layer", [None, "second"])
def test_nothing_keeps_a_model_alive(layer):
    net = model()
    gradcam.explain(net, images(1), layer=layer)
    gone, weight = weakref.ref(net), weakref.ref(net.get_layer("second").kernel)
    assert net in programs._kept
    del net
    gc.collect()
    assert gone() is None
    gc.collect()  # the program went with the model, and its graph is made of circles
    assert weight() is None
