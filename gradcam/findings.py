"""The codes and sentences that errors, warnings and the doctor share.

Each finding says what was received, what was expected and what to do. Facts fill the places in
braces; a fact that is empty leaves nothing behind, so optional hints carry their own leading space.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SENTENCES: dict[str, str] = {
    # The model
    "wrong-backend": (
        "Keras runs on {backend}. gradcam explains models of Keras 3 on TensorFlow. Set"
        " KERAS_BACKEND=tensorflow before the first import of keras and load the model again."
    ),
    "legacy-keras": (
        "TF_USE_LEGACY_KERAS=1 makes tf.keras the Keras 2 of the tf_keras package. gradcam explains"
        " models of Keras 3. Unset the variable and load the model's file with keras.models."
        "load_model."
    ),
    "legacy-model": (
        "The model is a {kind} of the tf_keras package (Keras 2). Expected a model of Keras 3. Save"
        " it to a file and load that with keras.models.load_model."
    ),
    "not-a-model": (
        "Received {received} as the model. Expected a keras.Model (Functional, Sequential or"
        " subclassed). {advice}"
    ),
    "not-built": (
        "The model '{name}' is not built: it has no weights yet. Expected a model that has run"
        " once. Call it on one batch, or give it a keras.Input, and load its weights first."
    ),
    "layer-not-built": (
        "The layer '{layer}' of the model '{name}' is not built: it has no weights yet. Expected a"
        " model whose layers have all run once. Call model(images) once, and load its weights"
        " first."
    ),
    "unknown-input-shape": (
        "The shape of the inputs of '{name}' is not known: it was built without one. Expected a"
        " model that was called or built with a shape. Call it on one batch first."
    ),
    "returns-none": (
        "The call of {where} returned None. Expected a tensor. Look for a branch of `call` without"
        " `return`."
    ),
    "returns-no-tensor": (
        "The model '{name}' returned {received}. Expected tensors with the batch as first axis."
        " Let its `call` return the scores."
    ),
    "cannot-run": (
        "The model '{name}' raised {error} in {where}, on inputs of shape {shapes}: {reason}."
        " Expected a model that runs on these inputs. Call model(images) to see the whole error;"
        " it has to work first."
    ),
    "numpy-in-call": (
        "{where} calls NumPy, or `.numpy()`, on a tensor ({reason}). No gradient can flow through"
        " NumPy and no graph can hold it. Use the functions of keras.ops or tf there, or choose"
        " a layer of another model that ends before it."
    ),
    # The layer
    "layer-not-found": (
        "The model has no layer '{name}'.{hint} Expected the path of a layer, such as"
        " 'backbone/conv', or a name that only one has. All paths: {paths}."
    ),
    "layer-not-called": (
        "The layer '{name}' belongs to the model, but was not seen when the model ran.{hint}"
        " Expected a layer that the model's `call` calls by itself. These can be tapped: {paths}."
    ),
    "layer-unreachable": (
        "The layer '{name}' runs inside {inside}. An activation in there can't be taken out."
        " Expected a layer outside of it. These can be tapped: {paths}."
    ),
    "ambiguous-layer": (
        "The name '{name}' stands for {count} layers or calls. Expected one. Write one of these"
        " paths: {paths}."
    ),
    "bad-layer": (
        "Received {received} as the layer. Expected a path such as 'backbone/conv', a layer object,"
        " a list of those, or None for the automatic choice. See gradcam.layers(model)."
    ),
    "no-feature-map": (
        "The model '{name}' has no feature map before the target: {reason}. Expected a layer whose"
        " output is (batch, positions..., channels) with more than one position, such as a"
        " convolution. See gradcam.layers(model) for the reason of each layer."
    ),
    "not-a-feature-map": (
        "The output of '{path}' has shape {shape}: {reason}. Expected a feature map"
        " (batch, positions..., channels) with more than one position. {advice}"
    ),
    "disconnected-layer": (
        "The target, {target}, does not depend on the layer '{path}'. Expected a layer on the way"
        " to the target. Connected candidates: {paths}."
    ),
    "blocked-gradient": (
        "The gradient of {target} stops before it reaches '{path}': {blockers}. Expected a"
        " differentiable way from the layer to the target. Replace that operation, or choose a"
        " layer behind it{paths}."
    ),
    "input-unknown": (
        "The input '{name}' is not one of the model's.{hint} Expected one of: {names}. Choose the"
        " one that the heatmap belongs to."
    ),
    "input-unseen": (
        "The layer '{path}' does not see the input '{name}'. Expected one that it sees: {names}."
        " Name one of those with input=, or choose a layer behind '{name}'."
    ),
    "input-in-doubt": (
        "The layer '{path}' sees several inputs that a heatmap fits: {names}. Expected one. Choose"
        " it with input=."
    ),
    "not-maskable": (
        "scorecam masks the input that '{path}' sees, '{name}' of shape {shape} and type {dtype}."
        " Expected an image with the axes of the map. Use another method for this model."
    ),
    "fixed-batch": (
        "The model takes batches of exactly {count} images, but scorecam and ablationcam run it on"
        " as many rows as there are channels. Expected an open batch axis. Rebuild the model"
        " without batch_size, or use a gradient method."
    ),
    # The images
    "images-kind": (
        "Received {received} as images. Expected numbers: an array (batch, height, width, channels)"
        " or a tensor. {advice}"
    ),
    "images-empty": "Received no image: shape {shape}. Expected at least one. Check the batch.",
    "images-rank": (
        "Images of shape {shape} have {rank} axes. The model's input{name} takes {expected}."
        " {advice}"
    ),
    "images-shape": (
        "Images of shape {shape} don't fit. The model's input{name} takes {expected}. {advice}"
    ),
    "images-batch": (
        "The inputs have different numbers of rows: {sizes}. Expected the same batch for each."
        " Give every input one row an image."
    ),
    "images-fixed-batch": (
        "Received {count} images. The model takes batches of exactly {expected}. Fill the batch up,"
        " or rebuild the model with an open batch axis{advice}."
    ),
    "inputs-names": (
        "Received the inputs {received}. The model takes {expected}. Give one array for each, in a"
        " dict by name or in a list in that order."
    ),
    "non-finite-images": (
        "{kind} in {images}{name}. Expected finite numbers. Look at how the images are read and"
        " scaled."
    ),
    "non-finite-activations": (
        "{kind} in the model's activations for {images}, first in {path}. Expected"
        " finite numbers. Check the weights of that layer and the range of the images."
    ),
    "non-finite-gradients": (
        "{kind} in the gradient of {target} for {images}, first behind '{path}' on the way back."
        " Expected finite numbers. Look for a division by zero, a logarithm or a square root of"
        " zero in the layers after it."
    ),
    "non-finite-map": (
        "The map of '{path}' has a NaN or an infinity for {images}, though activations and"
        " gradients are finite. Expected finite numbers. The values are too large for float32:"
        " scale the inputs, or use another method."
    ),
    "image-unreadable": "'{path}' can't be read: {reason}. Expected an image file. {advice}",
    "images-undrawable": (
        "Images of shape {shape} can't be drawn under heatmaps of shape {expected}. Expected"
        " (batch, height, width), with 1 or 3 channels or none. Give the images that were"
        " explained."
    ),
    "maps-undrawable": (
        "Heatmaps of shape {shape} are not pictures. Expected two axes for the position. Use"
        " `heatmaps` as an array and plot it."
    ),
    # The target
    "several-outputs": (
        "The model has {count} outputs: {names}. Expected to be told which one is explained. Use"
        " gradcam.targets.Output(name, target), or Output(name) for the top classes there."
    ),
    "unknown-output": (
        "The model has no output {name!r}.{hint} Expected one of: {names}. Name it in Output(name,"
        " target)."
    ),
    "class-range": (
        "Class {index} is out of range{image}. The output has {classes} classes, so expected 0 to"
        " {last}.{advice}"
    ),
    "one-unit": (
        "Class {index} was asked for, but the output is one linear unit. Expected class 0, or a"
        " side of the unit. Use gradcam.targets.Binary(positive=True) or Binary(positive=False)."
    ),
    "unknown-class": (
        "The class '{name}' is not one of class_names. Expected one of: {names}.{hint}"
    ),
    "no-class-names": (
        "Received the class name '{name}' but no names to look it up in. Expected an index, or"
        " class_names=[...] in the order of the model's output. Give either."
    ),
    "class-names-length": (
        "Received {count} class_names. The output has {classes} classes. Give one name a class, in"
        " the order of the output."
    ),
    "target-kind": (
        "Received {received} as the target. Expected None, a class index, one index an image, a"
        " class name, a function of the outputs or one of gradcam.targets.{advice}"
    ),
    "target-count": (
        "Received {count} {what} for {batch} images. Expected one an image. Give {batch}, or a"
        " single one for all."
    ),
    "target-output": (
        "{target} can't be read from an output of shape {shape}. Expected an output of shape"
        " {expected}. {advice}"
    ),
    "mask-shape": (
        "The mask has shape {shape}. Expected {expected}, the size of the model's output. Resize"
        " the mask to it."
    ),
    "reference-shape": (
        "The reference has shape {shape}. Expected {expected}, as the model's output. Take it from"
        " the same output of the model."
    ),
    "target-function": (
        "The target function returned {received}. Expected a tensor of shape (batch,): one score"
        " an image. Sum over the other axes."
    ),
    "target-raised": (
        "As the target, {target} raised {error}: {reason}. Expected a function that takes what the"
        " model returns, and gives one score an image. Correct it; it runs inside a graph."
    ),
    "target-argument": "Received {received} as {argument}. Expected {expected}. {advice}",
    "top-k": ("Received top_k={top_k}. Expected {expected}. {advice}"),
    "fuse-inputs": (
        "The layers see different inputs: {names}. Expected layers that see the same one, so that"
        " their maps lie in one frame. Explain them one by one."
    ),
    "fuse-ranks": (
        "The layers have maps with {ranks} axes of positions. Expected the same number for all"
        " that are fused. Choose layers of one kind."
    ),
    # Options
    "unknown-option": "Received {option}={value!r}.{hint} Expected {expected}. {advice}",
    # Warnings
    "warn-probability": (
        "The scores of output '{name}' are probabilities: the {activation} that made them is"
        " not the model's last step, so its input can't be used. Gradients of probabilities fade"
        " where the model is sure. Let the model end in the {activation}, or leave it out."
    ),
    "warn-one-linear-unit": (
        "The output is one linear unit: unit 0 itself was explained. Say what it means:"
        " gradcam.targets.Binary() for the logit of a yes or no, Regression() for a quantity."
    ),
    "warn-class-independent": (
        "'{method}' does not look at the target: the map is the same for every class, and"
        " counterfactual=True has no effect. Choose another method to explain a class."
    ),
    "warn-token-layers": (
        "'{path}' is the last feature map, but what follows works on a sequence (first"
        " '{sequence}'). Its map is that of early features. Expect it to be coarse in meaning."
    ),
    "warn-no-frame": (
        "The map of '{path}' has {map_rank} axes of positions, the input '{name}' of shape {shape}"
        " has not. The heatmaps are left at the size of the map."
    ),
    "warn-all-negative": (
        "image {image}: everything in '{path}' speaks against {target}, so nothing is left after"
        " the ReLU. Use relu=False to see the negative side, or counterfactual=True."
    ),
    "warn-dead-activations": (
        "image {image}: all activations of '{path}' are zero, so the map is zero. Look for a dead"
        " ReLU, or an image outside of the range the model expects."
    ),
    "warn-zero-gradient": (
        "image {image}: the gradient of {target} is zero everywhere in '{path}', so the map is"
        " zero{reason}. Look for a saturated activation or a dead ReLU after the layer."
    ),
    "warn-zero-map": (
        "image {image}: the evidence in '{path}' for {target} cancels to an all-zero map. Use"
        " another method or layer."
    ),
    "warn-no-effect": (
        "image {image}: changing any channel of '{path}' leaves {target} as it is, so the map is"
        " zero. Look for a saturated activation or a dead ReLU after the layer."
    ),
}


def message(code: str, **facts: object) -> str:
    """The sentence of a finding, filled with facts.

    >>> message("images-empty", shape=(0, 8, 8, 3))
    'Received no image: shape (0, 8, 8, 3). Expected at least one. Check the batch.'
    """
    return SENTENCES[code].format(**facts).rstrip()


def suggestion(name: str, known: Iterable[str]) -> str:
    """A sentence with the names that are nearly `name`, or nothing.

    >>> suggestion("blok1", ["block1", "dense"])
    " Did you mean 'block1'?"
    >>> suggestion("zzz", ["block1"])
    ''
    """
    candidates = list(dict.fromkeys(known))
    lowered = {candidate.lower(): candidate for candidate in candidates}
    near = difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(lowered[n]) for n in near)}?" if near else ""


def listing(names: Sequence[object], limit: int = 40) -> str:
    """Names for a sentence, shortened in the middle where there are very many.

    >>> listing(["a", "b"])
    'a, b'
    >>> listing(list(range(100)), limit=4)
    '0, 1, ... (96 more) ..., 98, 99'
    """
    if len(names) <= limit:
        return ", ".join(map(str, names)) or "none"
    half = limit // 2
    shown = [*map(str, names[:half]), f"... ({len(names) - 2 * half} more) ..."]
    return ", ".join([*shown, *map(str, names[-half:])])


def images(numbers: Sequence[int]) -> str:
    """Image numbers for a sentence.

    >>> images([0]), images([1, 4])
    ('image 0', 'images 1, 4')
    """
    return f"image{'s' if len(numbers) > 1 else ''} {listing(numbers, limit=10)}"
