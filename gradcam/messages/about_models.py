"""About the model: not one, not built, does not run."""

from gradcam.messages.words import Words

WORDS: dict[str, Words] = {
    "wrong-backend": Words(
        "Keras runs on {backend}. gradcam explains models of Keras 3 on TensorFlow.",
        fix=(
            "Set KERAS_BACKEND=tensorflow before the first import of keras and load the model"
            " again."
        ),
    ),
    "legacy-keras": Words(
        (
            "TF_USE_LEGACY_KERAS=1 makes tf.keras the Keras 2 of the tf_keras package. gradcam"
            " explains models of Keras 3."
        ),
        fix="Unset the variable and load the model's file with keras.models.load_model.",
    ),
    "legacy-model": Words(
        "The model is a {kind} of the tf_keras package (Keras 2).",
        "Expected a model of Keras 3.",
        "Save it to a file and load that with gradcam.load_model.",
    ),
    "not-a-model": Words(
        "Received {received} as the model.",
        "Expected a keras.Model (Functional, Sequential or subclassed).",
        "{advice}",
    ),
    "not-built": Words(
        "The model '{name}' is not built: it has no weights yet.",
        "Expected a model that has run once.",
        "Call it on one batch, or give it a keras.Input, and load its weights first.",
    ),
    "layer-not-built": Words(
        "The layer '{layer}' of the model '{name}' is not built: it has no weights yet.",
        "Expected a model whose layers have all run once.",
        "Call model(images) once, and load its weights first.",
    ),
    "unknown-input-shape": Words(
        "The shape of the inputs of '{name}' is not known: it was built without one.",
        "Expected a model that was called or built with a shape.",
        "Call it on one batch first.",
    ),
    "returns-none": Words(
        "The call of {where} returned None.",
        "Expected a tensor.",
        "Look for a branch of `call` without `return`.",
    ),
    "returns-none-among": Words(
        "The model '{name}' returned None in its outputs, at {outputs}.",
        "Expected a tensor in every place.",
        (
            "Let its `call` leave out what it does not compute, or wrap it in a model that"
            " returns the scores alone."
        ),
    ),
    "returns-no-tensor": Words(
        "The model '{name}' returned {received}.",
        "Expected tensors with the batch as first axis.",
        "Let its `call` return the scores.",
    ),
    "cannot-run": Words(
        "The model '{name}' raised {error} in {where}, on inputs of shape {shapes}: {reason}.",
        "Expected a model that runs on these inputs.",
        "Call model(images) to see the whole error; it has to work first.",
    ).in_terminal(
        fix="Correct it; or, where it takes images of any size, give another --size.",
    ),
    "channels-first-kernel": Words(
        (
            "The model '{name}' takes its channels first{where}, which TensorFlow can't compute"
            " on this processor without oneDNN."
        ),
        "Expected oneDNN, a GPU, or channels last.",
        (
            "Set TF_ENABLE_ONEDNN_OPTS=1 in the environment before TensorFlow is imported, or"
            ' build the model with data_format="channels_last" and give it np.moveaxis(images,'
            " 1, -1)."
        ),
    ),
    "transformer-broken": Words(
        (
            "The spatial transformer '{path}' can't say where it shows each pixel of its images:"
            " its inverse_grid(theta, (height, width)) {fault}."
        ),
        (
            "Expected a tensor (batch, height, width, 2) with (x, y) in [-1, 1], and NaN where a"
            " pixel is not shown."
        ),
        (
            "Correct that method, or remove it: the heatmap then stays in the warped frame, with a"
            " warning."
        ),
    ),
    "numpy-in-call": Words(
        (
            "{where} calls NumPy, or `.numpy()`, on a tensor ({reason}). No gradient can flow"
            " through NumPy and no graph can hold it."
        ),
        fix=(
            "Use the functions of keras.ops or tf there, or choose a layer of another model that"
            " ends before it."
        ),
    ),
    "out-of-memory": Words(
        "There is not enough memory to explain so many images at once with the model '{name}'.",
        "Expected a batch that fits.",
        "Give a smaller batch_size, such as batch_size=1, or smaller images.",
    ).in_terminal(
        received="There is not enough memory for it.",
        expected="",
        fix="Use a smaller --batch-size or --size.",
    ),
    "cannot-compute": Words(
        "TensorFlow could not compute the model '{name}' on these images{where}: {reason}.",
        "Expected a model that runs on them.",
        "Call model(images) to see the whole error.",
    ),
}
