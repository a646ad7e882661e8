"""What gradcam relies on of Keras and TensorFlow without its being public, name by name.

A test that fails here names what an upgrade has changed.
"""

import io
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from gradcam.trace import private_keras, private_tensorflow


def small_model():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="dense")])


def test_called_marks_what_was_called():
    layer = keras.layers.Dense(3)
    assert vars(layer)[private_keras.CALLED] is False
    layer(np.ones((1, 2)))
    assert vars(layer)[private_keras.CALLED] is True


def test_clear_losses_drops_those_of_the_last_call_and_is_asked_by_name():
    model, asked = (
        keras.Sequential([keras.Input((2,)), keras.layers.ActivityRegularization(l1=1.0)]),
        [],
    )
    model(np.ones((1, 2)))
    assert len(model.losses) == 1
    getattr(model, private_keras.CLEAR_LOSSES)()
    assert model.losses == []
    vars(model)[private_keras.CLEAR_LOSSES] = lambda: asked.append("entered")
    model(np.ones((1, 2)))
    assert asked == ["entered"]


@pytest.mark.skipif(not hasattr(keras, "RematScope"), reason="Keras 3.5 has no RematScope")
def test_remat_mode_and_its_method():
    with keras.RematScope(mode="full"):
        layer = keras.layers.Dense(3)
    asked = []
    vars(layer)[private_keras.REMATERIALIZED_CALL] = lambda call, *_, **__: (
        asked.append("wrapped") or call
    )
    layer(np.ones((1, 2)))
    assert private_keras.remat_mode(layer) is not None
    assert private_keras.remat_mode(keras.layers.Dense(3)) is None
    assert asked == ["wrapped"]


def test_setattr_hook_hears_of_every_attribute():
    layer, heard = keras.layers.Dense(3), []
    hook = getattr(layer, private_keras.SETATTR_HOOK)
    vars(layer)[private_keras.SETATTR_HOOK] = lambda name, value: (
        heard.append(name) or hook(name, value)
    )
    layer.kept = 1
    assert heard == ["kept"]
    assert layer.kept == 1
    # Operations that are no layers have it too, or `restoring` could not put a hook there.
    operation = keras.Model(x := keras.Input((2,)), x + 1.0).operations[1]
    assert callable(getattr(operation, private_keras.SETATTR_HOOK))


def test_tracker_hears_of_a_list_that_changes():
    layer, heard = keras.layers.Dense(3), []
    layer.kept = []
    tracker = private_keras.tracker(layer)
    assert isinstance(tracker, private_keras.Tracker)
    track, untrack = tracker.track, tracker.untrack
    vars(tracker)["track"] = lambda value: heard.append(("in", value)) or track(value)
    vars(tracker)["untrack"] = lambda value: heard.append(("out", value)) or untrack(value)
    layer.kept.append("a")
    layer.kept.remove("a")
    assert heard == [("in", "a"), ("out", "a")]


@pytest.mark.parametrize(("name", "home"), [("Functional", 0), ("RandomHeight", 1)])
def test_class_modules(name, home):
    assert isinstance(getattr(module(private_keras.CLASS_MODULES[home]), name), type)


@pytest.mark.parametrize(
    ("name", "home"),
    [("GetItem", 0), ("Relu", 1), ("Cast", 2), ("Resize", 3), ("SegmentSum", 4), ("Det", 5)],
)
def test_operation_modules(name, home):
    kind = getattr(module(private_keras.OPERATION_MODULES[home]), name)
    assert issubclass(kind, keras.Operation)


def module(path):
    return __import__(path, fromlist=["anything"])


def test_weight_store_asset_store_and_load_state(tmp_path):
    path = tmp_path / "model.keras"
    model, empty = small_model(), small_model()
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        weights = private_keras.WeightStore(io.BytesIO(archive.read("model.weights.h5")), mode="r")
        assets = private_keras.AssetStore("assets", archive=archive, mode="r")
        assert "layers/dense" in weights.h5_file
        failed, messages = set(), {}
        private_keras.load_state(
            empty,
            weights_store=weights,
            assets_store=assets,
            inner_path="",
            visited_saveables=set(),
            failed_saveables=failed,
            error_msgs=messages,
        )
        weights.close()
        assets.close()
    assert not failed
    assert not messages
    np.testing.assert_array_equal(empty.layers[0].kernel, model.layers[0].kernel)


def test_load_state_collects_what_does_not_fit(tmp_path):
    path = tmp_path / "model.weights.h5"
    small_model().save_weights(path)
    store = private_keras.WeightStore(io.BytesIO(path.read_bytes()), mode="r")
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4, name="dense")])
    failed, messages = set(), {}
    private_keras.load_state(
        other,
        weights_store=store,
        assets_store=None,
        inner_path="",
        visited_saveables=set(),
        failed_saveables=failed,
        error_msgs=messages,
    )
    store.close()
    (saveable, error) = messages[next(iter(failed))]
    assert saveable is other.layers[0]
    assert "shape" in str(error)


def test_object_sharing_scope_keeps_one_object_one():
    shared = keras.layers.Dense(3)
    config = keras.saving.serialize_keras_object(shared) | {"shared_object_id": 7}
    with private_keras.ObjectSharingScope():
        first, second = (keras.saving.deserialize_keras_object(config) for _ in range(2))
    assert first is second


def test_to_snake_case():
    found = [private_keras.to_snake_case(name) for name in ("Conv2D", "BatchNormalization", "GRU")]
    assert found == ["conv2d", "batch_normalization", "gru"]


def test_keras_2_backend():
    values = np.array([3.0, 4.0], np.float32)
    squared = private_keras.keras_2_backend.sum(private_keras.keras_2_backend.square(values))
    assert float(squared) == 25.0


def test_layers_and_variables_of_a_layer():
    inner = small_model()
    outer = keras.Sequential([keras.Input((2,)), inner, keras.layers.BatchNormalization(name="b")])
    names = [layer.name for layer in private_keras.all_layers(outer)]
    assert {outer.name, inner.name, "dense", "b"} <= set(names)
    direct = [layer.name for layer in private_keras.direct_layers(outer)]
    assert {inner.name, "b"} <= set(direct)
    assert not {"dense", outer.name} & set(direct)
    operation = keras.Model(x := keras.Input((2,)), x + 1.0).operations[1]
    assert private_keras.direct_layers(operation) == []
    held = [v.name for v in private_keras.direct_variables(outer.get_layer("b"))]
    assert held == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert private_keras.direct_variables(outer) == []


def test_optimized_variables():
    model = small_model()
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    assert [v.path for v in private_keras.optimized_variables(model.optimizer)] == [
        v.path for v in model.trainable_variables
    ]


def test_places_as_written():
    first, second = keras.Input((2,), name="first"), keras.Input((2,), name="second")
    shared = keras.layers.Dense(2, name="shared")
    written_first, written_second = shared(first), shared(second)
    # Keras runs them in the order in which the outputs use them.
    model = keras.Model([first, second], keras.layers.add([written_second, written_first]))
    assert private_keras.places_as_written(model, shared) == [1, 0]
    assert private_keras.places_as_written(keras.layers.ReLU(), shared) == []


def test_in_symbolic_scope_only_while_keras_works_out_shapes():
    seen = []

    class Asks(keras.layers.Layer):
        def call(self, x):
            seen.append(private_keras.in_symbolic_scope())
            return x

    layer = Asks()
    layer(keras.Input((2,)))
    layer(np.ones((1, 2)))
    assert seen[0] is True
    assert seen[-1] is False


def test_new_variables_go_to_a_list_and_are_then_given_their_values():
    made = []
    with keras.StatelessScope():
        with private_keras.new_variables_go_to(made):
            variable = keras.Variable(initializer="ones", shape=(2,))
            assert [one is variable for one in made] == [True]
        other = keras.Variable(initializer="zeros", shape=(2,))
    assert len(made) == 1  # the list of before is Keras' own again
    assert variable.numpy().tolist() == [1.0, 1.0]
    assert other.numpy().tolist() == [0.0, 0.0]


def test_operation_definition():
    definition = private_tensorflow.operation_definition("IdentityN")
    assert [output.type_list_attr for output in definition.output_arg] == ["T"]
    assert private_tensorflow.operation_definition("NoSuchOperation") is None


def test_graph_of_function():
    function = tf.function(lambda x: {"doubled": 2.0 * x}).get_concrete_function(tf.TensorSpec([2]))
    definition = function.function_def
    graph_def, names = private_tensorflow.graph_of_function(definition)
    output = definition.signature.output_arg[0].name
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")
        found = graph.get_tensor_by_name(names[definition.ret[output]])
    assert found.shape == (2,)


def test_own_gradient_and_its_end():
    @tf.custom_gradient
    def tripled(x):
        return x, lambda upstream: 3.0 * upstream

    with tf.Graph().as_default():
        x = tf.constant([1.0])
        y = tripled(x)
        own = private_tensorflow.own_gradient(y.op)
        assert callable(own)
        assert private_tensorflow.GRADIENT in y.op.node_def.attr
        before = tf.gradients(y, x)[0]
        private_tensorflow.drop_own_gradient(y.op)
        after = tf.gradients(y, x)[0]
        assert private_tensorflow.own_gradient(y.op) is None
        with tf.compat.v1.Session() as session:
            assert [session.run(value)[0] for value in (before, after)] == [3.0, 1.0]


def test_own_gradient_of_a_graph_from_a_file_is_not_known():
    node = tf.compat.v1.NodeDef(name="y", op="IdentityN", input=["x"])
    node.attr["T"].list.type.append(tf.float32.as_datatype_enum)
    node.attr[private_tensorflow.GRADIENT].s = b"CustomGradient-of-another-process"
    with tf.Graph().as_default() as graph:
        tf.constant([1.0], name="x")
        x = tf.compat.v1.NodeDef(name="x", op="Placeholder")
        x.attr["dtype"].type = tf.float32.as_datatype_enum
        tf.graph_util.import_graph_def(tf.compat.v1.GraphDef(node=[x, node]), name="read")
        assert private_tensorflow.own_gradient(graph.get_operation_by_name("read/y")) is None


def test_captured():
    variable = tf.Variable(1.0)
    inside = []

    @tf.function
    def read():
        value = variable + 1.0
        inside.extend(private_tensorflow.captured(value.graph, variable.handle))
        return value

    graph = read.get_concrete_function().graph
    assert [tensor.graph is graph for tensor in inside] == [True]
    with tf.Graph().as_default() as graph:
        tensor = tf.constant(1.0)
        assert private_tensorflow.captured(graph, tensor) == [tensor]


def test_is_composite():
    assert private_tensorflow.is_composite(tf.ragged.constant([[1.0], []]))
    assert private_tensorflow.is_composite(tf.sparse.from_dense([[1.0, 0.0]]))
    assert not private_tensorflow.is_composite([1.0])


def test_has_no_gradient():
    with tf.Graph().as_default():
        x = tf.constant([1.0])
        drawn = tf.random.stateless_poisson((1,), [1, 2], x, tf.float32)
        area = tf.raw_ops.ResizeArea(images=tf.zeros((1, 2, 2, 1)), size=[1, 1])
        found = [private_tensorflow.has_no_gradient(one.op) for one in (drawn, tf.exp(x), area)]
    assert found == [True, False, False]


def test_keep_words_stops_keras_from_making_another_error():
    class Raises(keras.layers.Layer):
        def __init__(self, keep):
            super().__init__()
            self.keep = keep

        def call(self, x):
            error = ValueError("in these words")
            self.keep(error)
            raise error

    with pytest.raises(ValueError, match=r"^in these words$"):
        Raises(private_keras.keep_words)(np.ones((1, 2)))
    with pytest.raises(ValueError, match="Exception encountered when calling"):
        Raises(lambda _: None)(np.ones((1, 2)))


def test_keep_class_stops_autograph_from_making_another_error():
    class OwnError(ValueError):
        def __init__(self, *, number):
            super().__init__(f"number {number}")

    def raises(keep):
        error = OwnError(number=3)
        keep(error)
        raise error

    with pytest.raises(OwnError, match=r"^number 3$"):
        tf.function(lambda: raises(private_tensorflow.keep_class))()
    with pytest.raises(Exception, match="in user code") as caught:
        tf.function(lambda: raises(lambda _: None))()
    assert not isinstance(caught.value, OwnError)


@pytest.mark.parametrize("persistent", [False, True])
def test_is_recording_and_is_spent(persistent):
    x = tf.constant(2.0)
    with tf.GradientTape(persistent=persistent) as tape:
        assert private_tensorflow.is_recording(tape)
        with tape.stop_recording():
            assert not private_tensorflow.is_recording(tape)
        tape.watch(x)
        y = x * x
    assert not private_tensorflow.is_recording(tape)
    assert not private_tensorflow.is_spent(tape)
    assert float(tape.gradient(y, x)) == 4.0
    assert private_tensorflow.is_spent(tape) is not persistent


def test_replica_group_is_that_of_one_run(two_replicas):
    def groups():
        found = []
        two_replicas.run(lambda: found.append(private_tensorflow.replica_group()))
        return found

    first, second = groups(), groups()
    assert first[0] is first[1] is not None
    assert second[0] is second[1]
    assert first[0] is not second[0]
    assert private_tensorflow.replica_group() is None


def test_training_attributes_are_those_that_compile_and_fit_set():
    model = small_model()
    before = set(vars(model))
    model.compile("sgd", "mse", metrics=["mae"])
    model.fit(np.ones((2, 2)), np.ones((2, 3)), verbose=0)
    known = private_keras.bookkeeping()
    assert {"optimizer", "loss", "compiled", "train_function"} <= known
    new = set(vars(model)) - before
    assert {name for name in new if not name.startswith("_")} <= known
    assert not {"_layers", "built", "_functional"} & known  # what a prediction depends on


def test_every_name_is_exercised():
    source = Path(__file__).read_text(encoding="utf-8")
    names = [f"private_keras.{name}" for name in private_keras.__all__]
    names += [f"private_tensorflow.{name}" for name in private_tensorflow.__all__]
    assert [name for name in names if name not in source] == []


def test_variables_can_wait_for_their_values():
    with private_keras.variables_without_values() as made:
        layer = keras.layers.Dense(3)
        layer.build((None, 2))
        model = keras.Sequential([keras.Input((4,)), layer.__class__(2)])
    assert [tuple(variable.shape) for variable in made] == [(2, 3), (3,), (4, 2), (2,)]
    assert all(variable._value is None for variable in made)
    private_keras.give_values(made)
    assert model(np.ones((1, 4))).shape == (1, 2)
    assert layer.kernel.numpy().any()
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])  # nothing waits any more
