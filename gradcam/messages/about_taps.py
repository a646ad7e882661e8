"""About a tap, and the tape that watches it."""

from gradcam.messages.words import Words

WORDS: dict[str, Words] = {
    "tape-kind": Words(
        "Received {received} as the tape.",
        "Expected a tf.GradientTape.",
        "Write `with tf.GradientTape() as tape:` and call tap(images, tape=tape) inside of it.",
    ),
    "tape-not-recording": Words(
        "The tape was not recording when the tap was called.",
        "Expected a call inside of `with tf.GradientTape() as tape:`.",
        "Move the call of the tap, and what computes the score, into that block.",
    ),
    "tape-unknown": Words(
        "This tape did not watch a call of this tap.",
        "Expected the tape that the tap was called with.",
        "Pass it: activations, outputs = tap(images, tape=tape).",
    ),
    "tape-outside": Words(
        "The tap was called inside of a tf.function, and tap.gradient outside of it.",
        (
            "Expected tape, tap and tap.gradient in the same place: a tape doesn't look into a"
            " function."
        ),
        "Move all three into the function, or call the tap outside of it.",
    ),
    "tape-symbolic": Words(
        "Received a tape together with symbolic inputs (keras.Input).",
        "Expected images: a tape records what happens to values.",
        "Leave tape= out to build a model on the tap.",
    ),
    "tape-spent": Words(
        (
            "The tape has given its gradients already. A tape gives them once, unless it is"
            " persistent."
        ),
        fix="Make it with tf.GradientTape(persistent=True), or call the tap under a new one.",
    ),
    "score-kind": Words(
        "Received {received} as the score.",
        "Expected a tensor of floats that was computed from the tap's outputs.",
        (
            "NumPy, .numpy() and argmax leave the tape: use TensorFlow or keras.ops, such as"
            " outputs[:, 1]."
        ),
    ),
    "score-unrecorded": Words(
        "The score was not computed from what the tap returned last under this tape.",
        "Expected a score such as outputs[:, 1], computed while the tape was recording.",
        (
            "Compute it inside of the `with` block, from the outputs of this tap, without"
            " stop_gradient, argmax or a comparison on the way."
        ),
    ),
    "tap-not-called": Words(
        "The model did not call '{path}' this time.",
        "Expected the same layers to run for every input.",
        "Tap a layer that always runs.",
    ),
    "tap-inside": Words(
        "'{path}' ran inside {inside}. An activation in there can't be taken out.",
        "Expected a layer outside of it.",
        "See gradcam.layers(model).",
    ),
    "tap-of-integers": Words(
        "The activation of '{path}' has the type {dtype}.",
        "Expected floats: integers have no gradient.",
        "Tap a layer behind it, such as an embedding.",
    ),
    "tap-not-saved": Words(
        "A tap is no model that can be saved or cloned: its layers belong to '{name}'.",
        "Expected that model.",
        "Save it and tap it again, or write the tap as a SavedModel with tap.export.",
    ),
    "logits-eager": Words(
        (
            "The {activation} of output '{name}' is not the last step of one layer, so its input"
            " can't be seen in eager code."
        ),
        "Expected a final {activation} layer, or a layer with activation='{activation}'.",
        "Call the tap inside of a tf.function, or take score='probability'.",
    ),
    "replicas-wait": Words(
        (
            "The model lets its replicas wait for each other in the middle of a call, as"
            " BatchNormalization(synchronized=True) does in training."
        ),
        "Expected replicas that run by themselves while a layer is tapped.",
        "Call the tap with training=False.",
    ),
    "saved-training": Words(
        "Received training=True for a SavedModel.",
        "Expected training=False: its file holds the model as it predicts.",
        "Tap the Keras model that it was exported from.",
    ),
}
