"""Graphs of many operations: what opening and listing costs grows with them, not with their square."""

import sys

import numpy as np
import pytest
import tensorflow as tf

import gradcam
from benchmarks import large_graphs
from gradcam.trace.graph import Dependence
from gradcam.trace.recording import Call, Recording
from gradcam.trace.upstream import Upstream


def lines_run(function):
    """How often Python entered a function of gradcam meanwhile, and what came out."""
    count = 0

    def watch(frame, event, _):
        nonlocal count
        count += event == "call" and "gradcam" in frame.f_code.co_filename

    sys.setprofile(watch)
    try:
        result = function()
    finally:
        sys.setprofile(None)
    return count, result


def opened_and_listed(folder):
    return gradcam.layers(gradcam.load_model(folder))


@pytest.mark.slow  # writes graphs of thousands of nodes
def test_opening_and_listing_a_large_graph_costs_as_much_a_node_as_a_small_one(tmp_path):
    each = []
    for nodes in (400, 4000):
        large_graphs.save(tmp_path / str(nodes), nodes)
        calls, found = lines_run(lambda nodes=nodes: opened_and_listed(tmp_path / str(nodes)))
        assert len(found) >= nodes
        assert found[-2].chosen or any(info.chosen for info in found[-4:])
        each.append(calls / nodes)
    assert each[1] < 1.3 * each[0]
    assert each[1] < 300


def test_the_last_feature_map_of_a_large_graph_is_explained(tmp_path):
    large_graphs.save(tmp_path / "m", 400)
    x = np.random.default_rng(0).uniform(size=(1, 8, 8, 2)).astype("float32")
    for method in ("gradcam", "ablationcam"):
        explanation = gradcam.explain(gradcam.load_model(tmp_path / "m"), x, 1, method=method)
        assert explanation.layer == "block99/scale"
        assert explanation.maps.max() > 0


@pytest.fixture
def chain():
    """A long chain of operations, told about by a call at its start only."""
    with tf.Graph().as_default():
        tensors = [tf.compat.v1.placeholder(tf.float32, (None, 4))]
        for _ in range(300):
            tensors.append(tf.identity(tensors[-1]))
        start, end = (
            Call(name, "Layer", ("Layer",), None, outputs=(tensor,), data_format=layout)
            for name, tensor, layout in (
                ("start", tensors[5], "channels_first"),
                ("end", tensors[300], None),
            )
        )
        makers = {tensors[5].op: start, tensors[300].op: end}
        yield tensors, Recording([tensors[0]], ["x"], [start, end], [], None, makers)


def test_what_lies_upstream_is_walked_once_for_all_layers(chain):
    tensors, recording = chain
    formats = Upstream(recording, lambda call: call.data_format)
    calls, found = lines_run(lambda: [formats.nearest(tensor) for tensor in tensors])
    assert found == [None] * 5 + ["channels_first"] * 296
    assert calls < 10 * len(tensors)


def test_the_nearest_fact_is_taken_of_several_ways():
    with tf.Graph().as_default():
        x = tf.compat.v1.placeholder(tf.float32, (None, 4))
        far, near = tf.exp(x), tf.sin(x)
        joined = tf.identity(tf.identity(far)) + tf.identity(near)
        calls = [
            Call(name, "Layer", ("Layer",), None, outputs=(tensor,))
            for name, tensor in (("far", far), ("near", near))
        ]
        makers = {call.outputs[0].op: call for call in calls}
        upstream = Upstream(Recording([x], ["x"], calls, [], None, makers), lambda call: call.name)
        assert upstream.nearest(joined) == "near"
        assert upstream.nearest(far) == "far"
        assert upstream.nearest(x) is None


def test_what_does_not_depend_on_a_source_is_walked_once(chain):
    tensors, recording = chain
    with tensors[0].graph.as_default():
        sees = Dependence(tf.constant(1.0))
    calls, found = lines_run(lambda: [sees([tensor]) for tensor in tensors])
    assert not any(found)
    assert calls < 10 * len(tensors)
    assert Dependence(recording.inputs[0])([tensors[300]])
