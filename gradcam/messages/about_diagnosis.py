"""What `diagnose` finds: what was measured and what it means, and apart from that the fix.

A code that an error has as well says there what to do: the finding and the error end alike.
"""

from gradcam.messages import about_diagnosis_loss, about_training

_INPUT: dict[str, tuple[str, str]] = {
    "input-no-batch-axis": (
        (
            "The images have shape {shape}: one image without an axis for the batch. The model takes"
            " {expected}, and calling it on them fails or mixes up the axes. They were looked at as a"
            " batch of one."
        ),
        "Add the axis:\n    images = images[None]",
    ),
    "input-integers": (
        (
            "The images are {dtype}, the model computes in {expected}. Keras casts them at the border"
            " of some models and fails in others; arithmetic on integers wraps around before it."
        ),
        'Cast them first:\n    images = images.astype("float32")',
    ),
    "input-float64": (
        (
            "The images are float64, the model takes {expected}. Keras casts them: the result is the"
            " same, the memory twice as much."
        ),
        'Cast them once:\n    images = images.astype("float32")',
    ),
    "input-truncated": (
        (
            "The images are {dtype} from {low:.3g} to {high:.3g}, the model takes {expected}: whatever"
            " stands behind the point is cut off."
        ),
        "Give the numbers that the model was made for. Most likely:\n    {line}",
    ),
    "input-range-scaled-twice": (
        (
            "{judge} expects images from 0 to 255; the images go from {low:.3g} to {high:.3g}. Scaled"
            " twice, they all look nearly black to the model."
        ),
        "Leave the scaling to the model.{line}",
    ),
    "input-range": (
        (
            "'{path}' learned inputs with a spread of about {expected:.3g}; these images give"
            " {measured:.3g}, {factor:.3g} times {direction}. The images go from {low:.3g} to"
            " {high:.3g}, most likely not the range of the training."
        ),
        "Scale the images as in training.{line}",
    ),
    "input-constant": (
        (
            "{images} one single value at every pixel ({value:.4g}). There is nothing to see in them,"
            " and nothing to explain."
        ),
        "Look at how the images are read; an image that was not found is often all zero.",
    ),
    "input-fixed-batch": (
        (
            "The model takes exactly {expected} at a time: of these {count} images, the rest of this"
            " report looks at the first {expected}."
        ),
        "Nothing has to be done: gradcam.explain runs them one after the other.",
    ),
    "input-repaired": (
        "The rest of this report looks at the images {how}, so that the model could run.",
        "Correct the images first, then diagnose again.",
    ),
    "input-made-up": (
        (
            "No image was given: noise of shape {shape} from {low:g} to {high:g} was used. What is"
            " said about activations and maps holds for the noise."
        ),
        "Give images that the model is meant for.",
    ),
}

_FORWARD: dict[str, tuple[str, str]] = {
    "model-not-built": (
        (
            "The model '{name}' is not built: it has no weights yet. It was run with initial weights"
            " that were thrown away again."
        ),
        "",
    ),
    "layer-raises": (
        "{where} raises {error} on an input of shape {shapes}: {reason}. Nothing behind it runs.",
        "Correct that layer, or what is in front of it: this shape is what it is given.",
    ),
    "layer-returns-nothing": (
        "The call of {where} returned None. The model runs because nothing uses it.",
        "Let its `call` return its output, or take the layer out.",
    ),
    "forward-constant": (
        (
            "The output of '{path}' is the same for all {count} images, though what it is given is"
            " not. Whatever follows can't tell the images apart."
        ),
        "Look at its weights and its activation: saturated, dead, or all zero.",
    ),
    "forward-independent": (
        (
            "The output of the model does not depend on the images. '{path}' is given what is computed"
            " from them, and returns what is not."
        ),
        "Let its `call` return something that is computed from its input.",
    ),
    "forward-dead": (
        (
            "Every output of the ReLU in '{path}' is zero, for all {count} images. No signal and no"
            " gradient passes it."
        ),
        (
            "Lower the learning rate and initialise the layer before it again, check the range of the"
            ' images, or use\n    keras.layers.LeakyReLU() or activation="swish"'
        ),
    ),
    "forward-dead-channels": (
        (
            "{dead} of {channels} channels of the ReLU in '{path}' are zero for all {count} images."
            " They don't learn and explain nothing."
        ),
        "Try more images; if it stays, lower the learning rate or normalise before the ReLU.",
    ),
    "forward-flatten": (
        (
            "'{flatten}' flattens {before} before the convolution '{path}', which is given {after}."
            " What was next to each other is no longer."
        ),
        "Take the Flatten out, or put it behind the last convolution.",
    ),
    "forward-training": (
        (
            "{paths} run in training mode though the model was called with training=False:"
            " {what}. The output changes from call to call, or with the rest of the batch."
        ),
        "Hand `training` on instead of setting it:\n    x = layer(x, training=training)",
    ),
}

_GRADIENT: dict[str, tuple[str, str]] = {
    "gradient-stops": (
        (
            "The gradient of {target} ends at {blockers}: it reaches '{after}', and not '{before}' in"
            " front of it, nor what lies before that ({count} layers)."
        ),
        "",
    ),
    "gradient-stops-elsewhere": (
        (
            "The gradient of {target} ends at {blockers}: it reaches '{after}', and not '{before}' in"
            " front of it. {consequence}"
        ),
        (
            "Replace the operation if those layers shall learn or be explained. A smooth stand-in for"
            " round and sign, which keeps the value:\n"
            "    x = x + keras.ops.stop_gradient(keras.ops.round(x) - x)"
        ),
    ),
    "gradient-no-slope": (
        (
            "The gradient of {target} is zero in front of {operation}, which has no slope: '{before}'"
            " gets zeros only."
        ),
        "Use a function with a slope, such as tanh for sign.",
    ),
    "gradient-saturated": (
        (
            "The {operation} in '{path}' is saturated at {share:.0%} of its values. The gradient of"
            " {target} fades there: '{before}' gets {norm:.2g}, '{after}' {norm_after:.2g}."
        ),
        "Scale down what goes into it: normalise before it, or check the range of the images.",
    ),
    "gradient-dead-relu": (
        (
            "The ReLU in '{path}' lets {share:.0%} of its values die. The gradient of {target} ends"
            " there: '{before}' gets {norm:.2g}, '{after}' {norm_after:.2g}."
        ),
        "Initialise the layer before it again with a lower learning rate, or use a LeakyReLU.",
    ),
    "gradient-underflow": (
        (
            "The gradient of {target} is zero in float16 from '{before}' on, and {norm:.2g} when the"
            " score is scaled up by {scale:g}: too small for half precision."
        ),
        (
            "Train with loss scaling, which the policy sets up when the model is compiled by name:\n"
            "    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()), ...)"
        ),
    ),
    "gradient-zero": (
        (
            "The gradient of {target} is zero everywhere in '{before}', and {norm_after:.2g} in"
            " '{after}' behind it."
        ),
        "Look at what '{after}' does with its input.",
    ),
}

_WEIGHTS: dict[str, tuple[str, str]] = {
    "weights-no-loss": (
        (
            "The gradients of the weights were not looked at: the model is not compiled, and no loss"
            " was given."
        ),
        (
            "Give the one that the model shall learn with, such as:\n"
            "    loss = {loss}\n"
            "    gradcam.diagnose(model, images, loss=loss)"
        ),
    ),
    "weights-none-trainable": (
        "No variable of the model is trainable: `fit` would change nothing.",
        "Set trainable where it shall learn, and compile again:\n    layer.trainable = True",
    ),
    "weights-unused": (
        (
            "The gradient of {variables} is None: never used to compute the output. It will never"
            " learn."
        ),
        "Use it in the model's `call`, or take it out.",
    ),
    "weights-not-in-loss": (
        "The gradient of {variables} is None: the loss does not depend on it. It will never learn.",
        "Give the output that it leads to a loss, or take the layer out.",
    ),
    "weights-stopped": (
        "The gradient of {variables} is None: it stops at {blockers}. It will never learn.",
        "Replace that operation, or say that it is meant:\n    layer.trainable = False",
    ),
    "weights-zero": (
        (
            "The gradient of {variables} is exactly zero for all {count} images. It does not learn"
            " from them."
        ),
        (
            "Look for a dead ReLU or a saturated activation behind it; its finding is listed above"
            " where there is one."
        ),
    ),
    "weights-one-unit": (
        (
            "The model ends in a softmax over one unit, which is always 1: the gradient of every"
            " weight is zero."
        ),
        'Use a sigmoid for yes or no:\n    keras.layers.Dense(1, activation="sigmoid")',
    ),
    "weights-nan": (
        "The gradient of {variables} holds NaN or infinity. One step, and so do the weights.",
        (
            "Look for a logarithm, root or division of zero in the loss and behind the layer; clip:\n"
            "    keras.optimizers.Adam(clipnorm=1.0)"
        ),
    ),
    "weights-scale": (
        (
            "The gradient of {variables} has a mean magnitude of {measured:.2g}, {factor:.0e} times"
            " {direction} than the nearer of its neighbours, {near:.2g}. With one learning rate, one"
            " of the two doesn't learn."
        ),
        "Normalise between the layers (BatchNormalization, a residual connection), or use Adam.",
    ),
    "weights-frozen-head": (
        (
            "'{path}', which makes the output, is frozen, while {count} layers before it are"
            " trainable. That is the reverse of fine-tuning."
        ),
        'Most likely meant:\n    model.get_layer("{name}").trainable = True',
    ),
    "weights-untracked": (
        "'{path}' holds {variables} as a tf.Variable. Keras neither trains nor saves it.",
        'Create it in `build`:\n    self.scale = self.add_weight(name="scale", shape=(...))',
    ),
    "weights-loss-fails": (
        (
            "The loss {loss} raises {error} on the outputs and labels: {reason}. The gradients of the"
            " weights were not looked at."
        ),
        "Use a loss that fits the outputs, or give labels as target=.",
    ),
}

_EXPLANATION: dict[str, tuple[str, str]] = {
    "explain-nested": (
        (
            "'{path}' lies inside the model '{outer}'. A keras.Model made from its output and the outer"
            ' model\'s inputs is not connected: that is where "NoneType" errors of Grad-CAM with'
            " transfer learning come from. The gradient of {target} does reach it, through"
            " gradcam.explain."
        ),
        'Name it by its path; no sub-model is needed:\n    gradcam.explain(model, images, layer="{path}")',
    ),
    "explain-before-activation": (
        (
            "'{path}' is the value before the activation '{activation}'. Its negative values mean"
            " nothing to what follows, but count in the map."
        ),
        'Take the activation:\n    layer="{activation}"',
    ),
    "explain-coarse": (
        "The map of '{path}' has {size} positions: one covers {share:.0%} of the image.",
        "Choose an earlier layer{other}, or give larger images.",
    ),
    "explain-all-negative": (
        (
            "Every weight of '{path}' is negative for {target} in {images}: all channels speak against"
            " it, and the map is blank after the ReLU."
        ),
        "See what speaks against it:\n    gradcam.explain(model, images, relu=False)",
    ),
    "explain-saturated": (
        (
            "The probability of {target} is {low:.6g} to {high:.6g} in {images}: it does not move any"
            " more. gradcam explains the logit, which does."
        ),
        'Leave score="logit", the default.',
    ),
    "explain-hidden-ending": (
        (
            "The output '{name}' went through a {activation} before its last step, so its logit can't"
            " be used. Gradients of probabilities fade where the model is sure."
        ),
        "Let the model end in the {activation}.",
    ),
    "explain-constant-map": (
        "The Grad-CAM map of '{path}' has one value everywhere in {images}: it does not say where.",
        "Choose another layer, or check that what follows the layer depends on positions.",
    ),
    "explain-one-channel": (
        (
            "One channel of '{path}' ({channels}) makes {share:.0%} of the map of {images}. The map"
            " shows that channel."
        ),
        'Compare with a method that weighs each position:\n    method="layercam"',
    ),
}

_GENERAL: dict[str, tuple[str, str]] = {
    "not-looked-at": (
        "{group}: could not be looked at, because {reason}.",
        "Correct what is listed above it, then diagnose again.",
    ),
    "raises-when-run": (
        "The model raises {error} when it runs, in {where}: {reason}.",
        "Call model(images) to see the whole error; correct that layer first.",
    ),
}

_ALL = (
    _INPUT
    | _FORWARD
    | _GRADIENT
    | _WEIGHTS
    | about_diagnosis_loss.LOSS
    | about_training.TRANSFORMERS
    | _EXPLANATION
    | about_training.WATCH
    | _GENERAL
)

SENTENCES: dict[str, str] = {code: said for code, (said, _) in _ALL.items()}
FIXES: dict[str, str] = {code: fix for code, (_, fix) in _ALL.items()}
