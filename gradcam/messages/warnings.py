"""Warnings: the map is there, but there is something to know about it."""

SENTENCES: dict[str, str] = {
    "warn-probability": (
        "The scores of output '{name}' are probabilities: the {activation} that made them is"
        " not the model's last step, so its input can't be used. Gradients of probabilities fade"
        " where the model is sure. Let the model end in the {activation}, or leave it out."
    ),
    "warn-pixels-spread": (
        "'{path}' learned inputs with a spread of about {expected:.3g}; these images give"
        " {measured:.3g}, {factor:.3g} times {direction}. They go from {low:.3g} to {high:.3g}, which"
        " is most likely not the range of the training, and then the map means nothing. Scale them"
        " as in training.{advice}"
    ),
    "warn-pixels-scaled-twice": (
        "{judge} expects pixels from 0 to 255; these go from {low:.3g} to {high:.3g}. Scaled twice,"
        " the images all look nearly black to the model. Leave the scaling to it.{advice}"
    ),
    "warn-two-activations": (
        "Output '{name}' goes through one activation after the other, {first} and then {last},"
        " which squeezes its values twice. What goes into the first was explained. Leave one of the"
        " two out of the model."
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
    "warn-hidden-layers": (
        "'{path}' is the last feature map that can be reached, but not the last of the model: behind"
        " it stand {hidden}. Expect the map to be that of earlier features. Let the model call"
        " those layers outside of loops, and keep them in its attributes."
    ),
    "warn-no-frame": (
        "The map of '{path}' has {map_rank} axes of positions, the input '{name}' of shape {shape}"
        " has not. The heatmaps are left at the size of the map."
    ),
    "warn-warped-frame": (
        "'{path}' sees the image warped by {names}, and the way back isn't known: transformers in"
        " parallel, beside the image itself or inside a loop, a crop inside the model, or sampling"
        " that is no layer with the interface of keras_stn.SpatialTransformer. The heatmaps lie in"
        " the warped frame: draw them over the warped images."
    ),
    "warn-frame-outside": (
        "The frame that {names} chose lies outside of the image, or has shrunk to a"
        " point, so no pixel of it reaches '{path}'. Look at theta: it has run away, or the image is"
        " unlike those of the training."
    ),
    "warn-all-negative": (
        "Everything in '{path}' speaks {against} {target}, so nothing is left after"
        " the ReLU. Use relu=False to see the negative side, or {turned}."
    ),
    "warn-negative-activations": (
        "The activations of '{path}' are negative on the whole where {method} counts"
        " them, so its map is negative, and nothing is left after the ReLU. Use relu=False to see"
        " it."
    ),
    "warn-dead-activations": (
        "All activations of '{path}' are zero, so the map is zero. Look for a dead"
        " ReLU, or an image outside of the range the model expects; or choose a layer before it."
    ),
    "warn-zero-gradient": (
        "The gradient of {target} is zero everywhere in '{path}', so the map is"
        " zero{reason}. Look for a saturated activation or a dead ReLU after the layer;"
        " method='eigencam' with relu=False shows what stands out without a gradient."
    ),
    "warn-no-positive-gradient": (
        "The gradient of {target} is {sign} nowhere that '{path}' is active, and"
        " {method} keeps nothing else, so the map is zero. Use method='eigengradcam' with"
        " relu=False, or {turned}."
    ),
    "warn-inactive": (
        "The activations of '{path}' are zero wherever the gradient of {target} is"
        " not, so the map is zero. Choose another layer; method='eigencam' with relu=False shows"
        " what stands out without a gradient."
    ),
    "warn-zero-map": (
        "{method} adds what speaks for and against {target} in '{path}' up to zero"
        " everywhere. Use method='{other}' with relu=False, which keeps the main pattern."
    ),
    "warn-blank-heatmap": (
        "The map of '{path}' has a pattern, but at the size of the image nothing of it is left."
        " Look at explanation.maps, which have the size of the layer."
    ),
    "warn-no-effect": (
        "{target} stays the same whichever channel of '{path}' is set to zero, so"
        " the map is zero. Look for a saturated activation or a dead ReLU after the layer;"
        " method='eigencam' with relu=False shows what stands out whatever the target."
    ),
    "warn-constant-channels": (
        "Every channel of '{path}' has one value at all positions, so scorecam has"
        " nothing to mask the image with, and the map is zero. Choose a layer with more positions;"
        " method='eigencam' with relu=False shows the activations as they are."
    ),
}
