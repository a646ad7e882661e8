"""About the images."""

from gradcam.messages.words import Words

WORDS: dict[str, Words] = {
    "images-kind": Words(
        "Received {received} as images.",
        "Expected numbers: an array (batch, height, width, channels) or a tensor.",
        "{advice}",
    ),
    "images-empty": Words(
        "Received no image: shape {shape}.",
        "Expected at least one.",
        "Check the batch.",
    ),
    "images-rank": Words(
        "Images of shape {shape} have {rank} axes. The model's input{name} takes {expected}.",
        fix="{advice}",
    ),
    "images-shape": Words(
        "Images of shape {shape} don't fit. The model's input{name} takes {expected}.",
        fix="{advice}",
    ),
    "images-batch": Words(
        "The inputs have different numbers of rows: {sizes}.",
        "Expected the same batch for each.",
        "Give every input one row per image.",
    ),
    "images-fixed-batch": Words(
        "Received {count} images. The model takes batches of exactly {expected}.",
        fix="Fill the batch up, or rebuild the model with an open batch axis{advice}.",
    ),
    "inputs-names": Words(
        "Received {received} for the inputs.",
        "The model takes {expected}.",
        "Give one array for each input, in a dict by name or in a list in that order.",
    ),
    "non-finite-images": Words(
        "{kind} in {images}{name}.",
        "Expected finite numbers.",
        "Look at how the images are read and scaled.",
    ),
    "non-finite-activations": Words(
        "{kind} in the model's activations for {images}, first in {path}.",
        "Expected finite numbers.",
        "Check the weights of that layer and the range of the images.",
    ),
    "non-finite-gradients": Words(
        "{kind} in the gradient of {target} for {images}, first behind '{path}' on the way back.",
        "Expected finite numbers.",
        "Look for a division by zero, a logarithm or a square root of zero in the layers after it.",
    ),
    "non-finite-map": Words(
        (
            "The map of '{path}' has a NaN or an infinity for {images}, though activations and"
            " gradients are finite."
        ),
        "Expected finite numbers.",
        "The values are too large for float32: scale the inputs, or use another method.",
    ),
    "image-unreadable": Words(
        "'{path}' can't be read: {reason}.",
        "Expected an image file.",
        "{advice}",
    ),
    "images-undrawable": Words(
        "Images of shape {shape} can't be drawn under heatmaps of shape {expected}.",
        "Expected (batch, height, width), with 1 or 3 channels or none.",
        "Give the images that were explained.",
    ),
    "maps-undrawable": Words(
        "Heatmaps of shape {shape} are not pictures.",
        "Expected two axes for the position.",
        "Use `heatmaps` as an array and plot it.",
    ),
}
