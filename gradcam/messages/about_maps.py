"""Warnings: the map is there, but there is something to know about it."""

from gradcam.messages.words import Words

WORDS: dict[str, Words] = {
    "warn-probability": Words(
        (
            "The scores of output '{name}' are probabilities: the {activation} that made them is"
            " not the model's last step, so its input can't be used. Gradients of probabilities"
            " fade where the model is sure."
        ),
        fix="Let the model end in the {activation}, or leave it out.",
    ),
    "warn-pixels-spread": Words(
        (
            "'{path}' learned inputs with a spread of about {expected:.3g}; these images give"
            " {measured:.3g}, {factor:.3g} times {direction}. They go from {low:.3g} to"
            " {high:.3g}, most likely not the range of the training, and then the map means"
            " nothing."
        ),
        fix="Scale them as in training.{advice}",
    ).in_terminal(
        received=(
            "'{path}' learned inputs with a spread of about {expected:.3g}; these photographs"
            " give {measured:.3g}, {factor:.3g} times {direction}. The model is given pixels from"
            " {low:.3g} to {high:.3g}, most likely not the range of the training, and then the"
            " maps mean nothing."
        ),
        fix="{advice}",
    ),
    "warn-pixels-scaled-twice": Words(
        (
            "{judge} expects pixels from 0 to 255; these go from {low:.3g} to {high:.3g}. Scaled"
            " twice, all images look nearly black to the model."
        ),
        fix="Leave the scaling to it.{advice}",
    ).in_terminal(
        received=(
            "{judge} expects pixels from 0 to 255; the model is given {low:.3g} to {high:.3g}."
            " Scaled twice, all photographs look nearly black to it."
        ),
        fix="{advice}",
    ),
    "warn-two-activations": Words(
        (
            "Output '{name}' goes through one activation after the other, {first} and then"
            " {last}, which squeezes its values twice. What goes into the first was explained."
        ),
        fix="Leave one of the two out of the model.",
    ),
    "warn-one-linear-unit": Words(
        "The output is one linear unit: unit 0 itself was explained.",
        fix=(
            "Say what it means: gradcam.targets.Binary() for the logit of a yes or no,"
            " Regression() for a quantity."
        ),
    ).in_terminal(
        received=(
            "The output is one linear unit: what makes it larger was explained. That is right for"
            " a quantity, and for the yes of a yes or no."
        ),
        fix="For the other side, add --counterfactual.",
    ),
    "warn-class-independent": Words(
        (
            "'{method}' does not look at the target: the map is the same for every class, and"
            " counterfactual=True has no effect."
        ),
        fix="Choose another method to explain a class.",
    ).in_terminal(
        received=(
            "'{method}' does not look at the target: the map is the same for every class, and"
            " --counterfactual has no effect."
        ),
        fix="Choose another --method to explain a class.",
    ),
    "warn-token-layers": Words(
        (
            "'{path}' is the last feature map, but what follows works on a sequence (first"
            " '{sequence}'). Its map is that of early features."
        ),
        fix="Expect it to be coarse in meaning.",
    ),
    "warn-hidden-layers": Words(
        (
            "'{path}' is the last feature map that can be reached, but not the last of the model:"
            " behind it stand {hidden}. Expect the map to be that of earlier features."
        ),
        fix="Let the model call those layers outside of loops, and keep them in its attributes.",
    ),
    "warn-no-frame": Words(
        (
            "The map of '{path}' has {map_rank} axes of positions, the input '{name}' of shape"
            " {shape} has not."
        ),
        fix="The heatmaps are left at the size of the map.",
    ),
    "warn-warped-frame": Words(
        (
            "'{path}' sees the image warped by {names}, and the way back isn't known:"
            " transformers in parallel, beside the image itself or inside a loop, a crop inside"
            " the model, or sampling that is no layer with the interface of"
            " keras_stn.SpatialTransformer."
        ),
        fix="The heatmaps lie in the warped frame: draw them over the warped images.",
    ).in_terminal(
        received=(
            "'{path}' sees the image warped by {names}, and the way back isn't known:"
            " transformers in parallel, beside the image itself or inside a loop, a crop inside"
            " the model, or sampling that is no layer with the interface of"
            " keras_stn.SpatialTransformer. The heatmap lies in the warped frame, so over the"
            " photograph it points to the wrong places."
        ),
        fix=(
            "Choose a --layer before {names}; of a crop, crop the photographs yourself; of an"
            " export, give the Keras model that it was made from."
        ),
    ),
    "warn-frame-outside": Words(
        (
            "The frame that {names} chose lies outside of the image, or has shrunk to a point, so"
            " no pixel of it reaches '{path}'."
        ),
        fix="Look at theta: it has run away, or the image is unlike those of the training.",
    ),
    "warn-all-negative": Words(
        "Everything in '{path}' speaks {against} {target}, so nothing is left after the ReLU.",
        fix="Use relu=False to see the negative side, or {turned}.",
    ).in_terminal(
        received=(
            "Everything in '{path}' speaks {against} {target}, so nothing is left to be shown."
        ),
        fix="See it with --no-relu, or name another with --class or --layer.",
    ),
    "warn-negative-activations": Words(
        (
            "Where {method} counts them, the activations of '{path}' are mostly negative, so its map"
            " is negative and nothing is left after the ReLU."
        ),
        fix="Use relu=False to see it.",
    ).in_terminal(
        fix="See it with --no-relu, or choose another --method or --layer.",
    ),
    "warn-dead-activations": Words(
        "All activations of '{path}' are zero, so the map is zero.",
        fix=(
            "Look for a dead ReLU, or an image outside of the range the model expects; or choose"
            " a layer before it."
        ),
    ),
    "warn-zero-gradient": Words(
        "The gradient of {target} is zero everywhere in '{path}', so the map is zero{reason}.",
        fix=(
            "Look for a saturated activation or a dead ReLU after the layer; method='eigencam'"
            " with relu=False shows what stands out without a gradient."
        ),
    ).in_terminal(
        fix=(
            "Look for a saturated activation or a dead ReLU after the layer; --method eigencam"
            " shows what stands out without a gradient."
        ),
    ),
    "warn-no-positive-gradient": Words(
        (
            "The gradient of {target} is {sign} nowhere that '{path}' is active, and {method}"
            " keeps nothing else, so the map is zero."
        ),
        fix="Use method='eigengradcam' with relu=False, or {turned}.",
    ).in_terminal(
        fix="Name another --class or --layer, or choose another --method.",
    ),
    "warn-inactive": Words(
        (
            "The activations of '{path}' are zero wherever the gradient of {target} is not, so"
            " the map is zero."
        ),
        fix=(
            "Choose another layer; method='eigencam' with relu=False shows what stands out"
            " without a gradient."
        ),
    ).in_terminal(
        fix="Choose another --layer; --method eigencam shows what stands out without a gradient.",
    ),
    "warn-zero-map": Words(
        (
            "In '{path}', what {method} counts for and against {target} cancels out everywhere, so"
            " the map is zero."
        ),
        fix="Use method='{other}' with relu=False, which keeps the main pattern.",
    ).in_terminal(fix="Choose another --method, such as {other}."),
    "warn-blank-heatmap": Words(
        "The map of '{path}' has a pattern, but none of it is left at the size of the image.",
        fix="Look at explanation.maps, which have the size of the layer.",
    ).in_terminal(fix="--save map writes the map itself."),
    "warn-no-effect": Words(
        "{target} stays the same whichever channel of '{path}' is set to zero, so the map is zero.",
        fix=(
            "Look for a saturated activation or a dead ReLU after the layer; method='eigencam'"
            " with relu=False shows what stands out whatever the target."
        ),
    ).in_terminal(
        fix=(
            "Look for a saturated activation or a dead ReLU after the layer; --method eigencam"
            " shows what stands out without a gradient."
        ),
    ),
    "warn-constant-channels": Words(
        (
            "Every channel of '{path}' has one value at all positions, so scorecam has nothing to"
            " mask the image with, and the map is zero."
        ),
        fix=(
            "Choose a layer with more positions; method='eigencam' with relu=False shows the"
            " activations as they are."
        ),
    ).in_terminal(
        fix=(
            "Choose a --layer with more positions; --method eigencam shows what stands out"
            " without a gradient."
        ),
    ),
}
