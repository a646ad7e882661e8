"""What the command says in other words than the Python API: it has options, and not all of them."""

_UNSAFE = "If you trust whoever made it, --unsafe"
_EIGENCAM = "--method eigencam shows what stands out without a gradient."

INSTEAD: dict[str, str] = {
    # the model
    "out-of-memory": ("There is not enough memory for it. Use a smaller --batch-size or --size."),
    "custom-object": (
        "'{path}' needs what Keras does not have: {what}. Expected to be told where it is. In the"
        " command, --import MODULE imports the module that defines it.{advice}"
    ),
    "code-unreadable": (
        "The code of the Lambda layer '{layer}' in '{path}' can't be read: {reason}. Expected code"
        " written by Python {version}; each version of Python writes its own. Write the function"
        " anew in a module, under the name {layer}, and give the module with --import MODULE."
    ),
    "unsafe-file": (
        "'{path}' brings Python code along, which loading would run: {what}. Expected a file"
        f" without code. {_UNSAFE} runs it."
    ),
    "saved-model-unsafe": (
        "The SavedModel '{path}' is a program that does more than compute: {found}. Expected one"
        f" that touches no files and runs no Python. {_UNSAFE} opens it."
    ),
    "signature-of-a-file": (
        "Received --signature {signature} for '{path}', which is a Keras model. Expected a"
        " signature only with the directory of a SavedModel. Leave it out."
    ),
    "signature-unknown": (
        "The SavedModel '{path}' has no signature '{name}'.{hint} Expected one of: {names}."
        " Choose it with --signature."
    ),
    "signature-in-doubt": (
        "The SavedModel '{path}' has several signatures, and none is called serving_default."
        " Expected one of: {names}. Choose it with --signature."
    ),
    "saved-model-unfed": (
        "The signature '{signature}' of the SavedModel '{path}' leaves out inputs that its graph"
        " needs: {names}. Expected a signature with all of them. Choose another one with"
        " --signature, or export the model again for inference."
    ),
    "cannot-run": (
        "The model '{name}' raised {error} in {where}, on inputs of shape {shapes}: {reason}."
        " Expected a model that runs on these inputs. Correct it; or, where it takes images of any"
        " size, give another --size."
    ),
    # the question
    "layer-not-found": (
        "The model has no layer '{name}'.{hint} Expected the path of a layer, such as"
        " 'backbone/conv', or a name that only one has. gradcam layers --model M shows all of them,"
        " with --filter some."
    ),
    "no-feature-map": (
        "The model '{name}' has no feature map before the target: {reason}. Expected a layer whose"
        " output is (batch, positions..., channels) with more than one position, such as a"
        " convolution. gradcam layers --model M gives the reason of each layer."
    ),
    "unknown-class": (
        "The class '{name}' is not among the class names. Expected one of: {names}.{hint} For"
        " several, give --class several times."
    ),
    "top-k": (
        "Received --class top{top_k}. Expected {expected}. Give another number, name one class, or"
        " leave --class out for the top class."
    ),
    "one-unit": (
        "Received --class {index}, but the output is one linear unit. Expected --class 0, the unit"
        " itself. Leave --class out."
    ),
    # warnings
    "warn-one-linear-unit": (
        "The output is one linear unit: what makes it larger was explained. That is right for a"
        " quantity, and for the yes of a yes or no. For the other side, add"
        " --counterfactual."
    ),
    "warn-pixels-spread": (
        "'{path}' learned inputs with a spread of about {expected:.3g}; these photographs give"
        " {measured:.3g}, {factor:.3g} times {direction}. The model is given pixels from {low:.3g} to"
        " {high:.3g}, which is most likely not the range of the training, and then the maps mean"
        " nothing.{advice}"
    ),
    "warn-pixels-scaled-twice": (
        "{judge} expects pixels from 0 to 255; the model is given {low:.3g} to {high:.3g}. Scaled"
        " twice, the photographs all look nearly black to it.{advice}"
    ),
    "warn-class-independent": (
        "'{method}' does not look at the target: the map is the same for every class, and"
        " --counterfactual has no effect. Choose another --method to explain a class."
    ),
    "warn-warped-frame": (
        "'{path}' sees the image warped by {names}, and the way back isn't known: transformers in"
        " parallel, beside the image itself or inside a loop, a crop inside the model, or sampling"
        " that is no layer with the interface of keras_stn.SpatialTransformer. The heatmap lies in"
        " the warped frame, so over the photograph it points to the wrong places. Choose a --layer"
        " before {names}; of a crop, crop the photographs yourself; of an export, give the Keras"
        " model that it was made from."
    ),
    "warn-all-negative": (
        "Everything in '{path}' speaks {against} {target}, so nothing is left to be"
        " shown. See it with --no-relu, or name another with --class or --layer."
    ),
    "warn-negative-activations": (
        "The activations of '{path}' are negative on the whole where {method} counts"
        " them, so its map is negative, and nothing is left to be shown. --no-relu shows it all the"
        " same; or choose another --method or --layer."
    ),
    "warn-zero-gradient": (
        "The gradient of {target} is zero everywhere in '{path}', so the map is"
        " zero{reason}. Look for a saturated activation or a dead ReLU after the layer;"
        f" {_EIGENCAM}"
    ),
    "warn-no-positive-gradient": (
        "The gradient of {target} is {sign} nowhere that '{path}' is active, and"
        " {method} keeps nothing else, so the map is zero. Name another --class or --layer, or"
        " choose another --method."
    ),
    "warn-inactive": (
        "The activations of '{path}' are zero wherever the gradient of {target} is"
        f" not, so the map is zero. Choose another --layer; {_EIGENCAM}"
    ),
    "warn-zero-map": (
        "{method} adds what speaks for and against {target} in '{path}' up to zero"
        " everywhere. Choose another --method, such as {other}."
    ),
    "warn-blank-heatmap": (
        "The map of '{path}' has a pattern, but at the size of the photograph nothing"
        " of it is left. --save map writes the map itself."
    ),
    "warn-no-effect": (
        "{target} stays the same whichever channel of '{path}' is set to zero, so"
        " the map is zero. Look for a saturated activation or a dead ReLU after the layer;"
        f" {_EIGENCAM}"
    ),
    "warn-constant-channels": (
        "Every channel of '{path}' has one value at all positions, so scorecam has"
        " nothing to mask the image with, and the map is zero. Choose a --layer with more"
        f" positions; {_EIGENCAM}"
    ),
}
"""By code, in the place of the sentence that `gradcam.messages.findings.SENTENCES` has."""
