"""About the layer that is tapped."""

from gradcam.messages.words import Words

WORDS: dict[str, Words] = {
    "layer-not-found": Words(
        "The model has no layer '{name}'.{hint}",
        "Expected the path of a layer, such as 'backbone/conv', or a name that only one has.",
        "See gradcam.layers(model).",
    ).in_terminal(
        fix="gradcam layers --model M lists all of them, with --filter some.",
    ),
    "layer-not-called": Words(
        "The layer '{name}' belongs to the model, but was not seen when the model ran.{hint}",
        "Expected a layer that the model's `call` calls by itself.",
        "These can be tapped: {paths}.",
    ),
    "layer-unreachable": Words(
        "The layer '{name}' runs inside {inside}. An activation in there can't be taken out.",
        "Expected a layer outside of it.",
        "These can be tapped: {paths}.",
    ),
    "ambiguous-layer": Words(
        "The name '{name}' stands for {count} layers or calls.",
        "Expected one.",
        "Write one of these paths: {paths}.",
    ),
    "bad-layer": Words(
        "Received {received} as the layer.",
        (
            "Expected a path such as 'backbone/conv', a layer object, a list of those, or None"
            " for the automatic choice."
        ),
        "See gradcam.layers(model).",
    ).in_terminal(
        expected="Expected a path such as 'backbone/conv'.",
        fix="gradcam layers --model M lists all of them.",
    ),
    "layer-twice": Words(
        "The layer '{path}' was given twice.",
        "Expected each layer once: a map that is fused with itself counts double.",
        "Leave one out.",
    ),
    "no-feature-map": Words(
        "The model '{name}' has no feature map before the target: {reason}.",
        (
            "Expected a layer whose output is (batch, positions..., channels) with more than one"
            " position, such as a convolution."
        ),
        "See gradcam.layers(model) for the reason of each layer.",
    ).in_terminal(fix="gradcam layers --model M gives the reason of each layer."),
    "not-a-feature-map": Words(
        "The output of '{path}' has shape {shape}: {reason}.",
        "Expected a feature map (batch, positions..., channels) with more than one position.",
        "{advice}",
    ),
    "disconnected-layer": Words(
        "The target, {target}, does not depend on the layer '{path}'.",
        "Expected a layer on the way to the target.",
        "Connected candidates: {paths}.",
    ),
    "blocked-gradient": Words(
        "The gradient of {target} stops before it reaches '{path}': {blockers}.",
        "Expected a differentiable way from the layer to the target.",
        "Replace that operation, or choose a layer behind it{paths}.",
    ),
    "input-unknown": Words(
        "The input '{name}' is not one of the model's.{hint}",
        "Expected one of: {names}.",
        "Choose the one that the heatmap belongs to.",
    ),
    "input-unseen": Words(
        "The layer '{path}' does not see the input '{name}'.",
        "Expected one that it sees: {names}.",
        "Name one of those with input=, or choose a layer behind '{name}'.",
    ).in_terminal(fix="Choose a layer behind '{name}'."),
    "input-in-doubt": Words(
        "The layer '{path}' sees several inputs that a heatmap fits: {names}.",
        "Expected to be told which one.",
        "Choose it with input=.",
    ).in_terminal(fix="Choose a --layer that sees only one of them."),
    "not-maskable": Words(
        "scorecam masks the input that '{path}' sees, '{name}' of shape {shape} and type {dtype}.",
        "Expected an image with the axes of the map.",
        "Use another method for this model.",
    ),
    "fixed-batch": Words(
        (
            "The model takes batches of exactly {count} images, but scorecam and ablationcam run"
            " it on as many rows as there are channels."
        ),
        "Expected an open batch axis.",
        "Rebuild the model without batch_size, or use a gradient method.",
    ),
}
