"""What `diagnose` finds: what was measured and what it means, and apart from that the fix.

A code that an error has as well says there what to do: the finding and the error end alike.
"""

from gradcam.messages import about_losses, about_training
from gradcam.messages.words import Words

_INPUT: dict[str, Words] = {
    "input-no-batch-axis": Words(
        (
            "The images have shape {shape}: one image without an axis for the batch. The model"
            " takes {expected}, and calling it on them fails or mixes up the axes. They were"
            " looked at as a batch of one."
        ),
        fix=("Add the axis:\n    images = images[None]"),
    ),
    "input-integers": Words(
        (
            "The images are {dtype}, the model computes in {expected}. Keras casts them at the"
            " border of some models and fails in others; arithmetic on integers wraps around"
            " before it."
        ),
        fix=('Cast them first:\n    images = images.astype("float32")'),
    ),
    "input-float64": Words(
        (
            "The images are float64, the model takes {expected}. Keras casts them: the result is"
            " the same, the memory twice as much."
        ),
        fix=('Cast them once:\n    images = images.astype("float32")'),
    ),
    "input-truncated": Words(
        (
            "The images are {dtype} from {low:.3g} to {high:.3g}, but the model takes {expected}:"
            " everything after the decimal point is lost."
        ),
        fix="Give the values that the model was made for. Most likely:\n    {line}",
    ),
    "input-range-scaled-twice": Words(
        (
            "{judge} expects images from 0 to 255; the images go from {low:.3g} to {high:.3g}."
            " Scaled twice, they all look nearly black to the model."
        ),
        fix="Leave the scaling to the model.{line}",
    ),
    "input-range": Words(
        (
            "'{path}' learned inputs with a spread of about {expected:.3g}; these images give"
            " {measured:.3g}, {factor:.3g} times {direction}. The images go from {low:.3g} to"
            " {high:.3g}, most likely not the range of the training."
        ),
        fix="Scale the images as in training.{line}",
    ),
    "input-constant": Words(
        (
            "{images} one single value at every pixel ({value:.4g}). There is nothing to see in"
            " them, and nothing to explain."
        ),
        fix="Look at how the images are read; an image that was not found is often all zero.",
    ),
    "input-fixed-batch": Words(
        (
            "The model takes exactly {expected} at a time: of these {count} images, the rest of"
            " this report looks at the first {expected}."
        ),
        fix="Nothing to do: explaining runs them one after the other.",
    ),
    "input-repaired": Words(
        "The rest of this report looks at the images {how}, so that the model could run.",
        fix="Correct the images first, then diagnose again.",
    ),
    "input-made-up": Words(
        (
            "No image was given: noise of shape {shape} from {low:g} to {high:g} was used. What"
            " is said about activations and maps holds for the noise."
        ),
        fix="Give images that the model is meant for.",
    ),
}

_FORWARD: dict[str, Words] = {
    "model-not-built": Words(
        (
            "The model '{name}' is not built: it has no weights yet. It was run with initial"
            " weights that were thrown away again."
        ),
    ),
    "layer-raises": Words(
        "{where} raises {error} on an input of shape {shapes}: {reason}. Nothing behind it runs.",
        fix="Correct that layer, or what is in front of it: this shape is what it is given.",
    ),
    "layer-returns-nothing": Words(
        "The call of {where} returned None. The model runs because nothing uses it.",
        fix="Let its `call` return its output, or take the layer out.",
    ),
    "forward-constant": Words(
        (
            "The output of '{path}' is the same for all {count} images, though what it is given"
            " is not. Whatever follows can't tell the images apart."
        ),
        fix="Look at its weights and its activation: saturated, dead, or all zero.",
    ),
    "forward-independent": Words(
        (
            "The output of the model does not depend on the images. '{path}' is given what is"
            " computed from them, and returns what is not."
        ),
        fix="Let its `call` return something that is computed from its input.",
    ),
    "forward-dead": Words(
        (
            "Every output of the ReLU in '{path}' is zero, for all {count} images. No signal and"
            " no gradient passes it."
        ),
        fix=(
            "Lower the learning rate and initialise the layer before it again, check the range of"
            " the images, or use\n"
            '    keras.layers.LeakyReLU() or activation="swish"'
        ),
    ),
    "forward-dead-channels": Words(
        (
            "{dead} of {channels} channels of the ReLU in '{path}' are zero for all {count}"
            " images. They don't learn and explain nothing."
        ),
        fix="Try more images; if it stays, lower the learning rate or normalise before the ReLU.",
    ),
    "forward-flatten": Words(
        (
            "'{flatten}' flattens {before} before the convolution '{path}', which is given"
            " {after}. What was next to each other is no longer."
        ),
        fix="Take the Flatten out, or put it behind the last convolution.",
    ),
    "forward-training": Words(
        (
            "{paths} run in training mode though the model was called with training=False:"
            " {what}. The output changes from call to call, or with the rest of the batch."
        ),
        fix=("Hand `training` on instead of setting it:\n    x = layer(x, training=training)"),
    ),
}

_GRADIENT: dict[str, Words] = {
    "gradient-stops": Words(
        (
            "The gradient of {target} ends at {blockers}: it reaches '{after}', and not"
            " '{before}' in front of it, nor what lies before that ({count} layers)."
        ),
    ),
    "gradient-stops-elsewhere": Words(
        (
            "The gradient of {target} ends at {blockers}: it reaches '{after}', and not"
            " '{before}' in front of it. {consequence}"
        ),
        fix=(
            "Replace the operation if those layers shall learn or be explained. A smooth stand-in"
            " for round and sign, which keeps the value:\n"
            "    x = x + keras.ops.stop_gradient(keras.ops.round(x) - x)"
        ),
    ),
    "gradient-no-slope": Words(
        (
            "The gradient of {target} is zero in front of {operation}, which has no slope:"
            " '{before}' gets zeros only."
        ),
        fix="Use a function with a slope, such as tanh for sign.",
    ),
    "gradient-saturated": Words(
        (
            "The {operation} in '{path}' is saturated at {share:.0%} of its values. The gradient"
            " of {target} fades there: '{before}' gets {norm:.2g}, '{after}' {norm_after:.2g}."
        ),
        fix="Scale down what goes into it: normalise before it, or check the range of the images.",
    ),
    "gradient-dead-relu": Words(
        (
            "The ReLU in '{path}' is zero for {share:.0%} of its values, and the gradient of"
            " {target} ends there: '{before}' gets {norm:.2g}, '{after}' {norm_after:.2g}."
        ),
        fix="Initialise the layer before it again with a lower learning rate, or use a LeakyReLU.",
    ),
    "gradient-underflow": Words(
        (
            "The gradient of {target} is zero in float16 from '{before}' on, and {norm:.2g} when"
            " the score is scaled up by {scale:g}: too small for half precision."
        ),
        fix=(
            "Train with loss scaling, which the policy sets up when the model is compiled by"
            " name:\n"
            "    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()), ...)"
        ),
    ),
    "gradient-zero": Words(
        (
            "The gradient of {target} is zero everywhere in '{before}', and {norm_after:.2g} in"
            " '{after}' behind it."
        ),
        fix="Look at what '{after}' does with its input.",
    ),
}

_WEIGHTS: dict[str, Words] = {
    "weights-no-loss": Words(
        (
            "The gradients of the weights were not looked at: the model is not compiled, and no"
            " loss was given."
        ),
        fix=(
            "Give the loss that the model will be trained with, such as:\n"
            "    loss = {loss}\n"
            "    gradcam.diagnose(model, images, loss=loss)"
        ),
    ).in_terminal(fix="Give the loss that the model will be trained with: --loss NAME."),
    "weights-none-trainable": Words(
        "No variable of the model is trainable: `fit` would change nothing.",
        fix=("Set trainable where it shall learn, and compile again:\n    layer.trainable = True"),
    ),
    "weights-unused": Words(
        (
            "Nothing that the model returns depends on {variables}: the gradient is None, and the"
            " weights will never learn."
        ),
        fix="Use the layer in the model's `call`, or remove it.",
    ),
    "weights-not-in-loss": Words(
        (
            "The loss does not depend on {variables}: the gradient is None, and the weights will"
            " never learn."
        ),
        fix="Give a loss to the output that they lead to, or remove the layer.",
    ),
    "weights-stopped": Words(
        (
            "The gradient of {variables} is None, because it stops at {blockers}: the weights will"
            " never learn."
        ),
        fix="Replace that operation, or, if it is meant, say so:\n    layer.trainable = False",
    ),
    "weights-zero": Words(
        (
            "The gradient of {variables} is exactly zero for all {count} images: nothing is"
            " learned from them."
        ),
        fix=(
            "Look for a dead ReLU or a saturated activation behind it; if there is one, its finding"
            " is listed above."
        ),
    ),
    "weights-one-unit": Words(
        (
            "The model ends in a softmax over one unit, which is always 1: the gradient of every"
            " weight is zero."
        ),
        fix=('Use a sigmoid for yes or no:\n    keras.layers.Dense(1, activation="sigmoid")'),
    ),
    "weights-nan": Words(
        (
            "The gradient of {variables} is NaN or infinite; after one training step the weights"
            " are, too."
        ),
        fix=(
            "Look for the logarithm, the root or a division by zero in the loss and in the layers"
            " behind; clip the gradients:\n"
            "    keras.optimizers.Adam(clipnorm=1.0)"
        ),
    ),
    "weights-scale": Words(
        (
            "The gradient of {variables} has a mean magnitude of {measured:.2g}, {factor:.0e}"
            " times {direction} than the nearer of its neighbours, {near:.2g}. With one learning"
            " rate, one of the two doesn't learn."
        ),
        fix=(
            "Normalise between the layers (BatchNormalization, a residual connection), or use Adam."
        ),
    ),
    "weights-frozen-head": Words(
        (
            "'{path}', which makes the output, is frozen, while {count} layers before it are"
            " trainable. That is the reverse of fine-tuning."
        ),
        fix=('Most likely meant:\n    model.get_layer("{name}").trainable = True'),
    ),
    "weights-untracked": Words(
        "'{path}' holds {variables} as a tf.Variable. Keras neither trains nor saves it.",
        fix=('Create it in `build`:\n    self.scale = self.add_weight(name="scale", shape=(...))'),
    ),
    "weights-loss-fails": Words(
        (
            "The loss {loss} raises {error} on the outputs and labels: {reason}. The gradients of"
            " the weights were not looked at."
        ),
        fix="Use a loss that fits the outputs, or give labels as target=.",
    ).in_terminal(fix="Use a loss that fits the outputs, or give the label with --class."),
}

_EXPLANATION: dict[str, Words] = {
    "explain-nested": Words(
        (
            "'{path}' lies inside the model '{outer}'. A keras.Model made from its output and"
            ' the outer model\'s inputs is not connected: this is where the "NoneType" errors of'
            " Grad-CAM with transfer learning come from. gradcam does get the gradient of"
            " {target} there."
        ),
        fix=(
            "Name it by its path; no sub-model is needed:\n"
            '    gradcam.explain(model, images, layer="{path}")'
        ),
    ).in_terminal(fix="Name it by its path; no sub-model is needed:\n    --layer {path}"),
    "explain-before-activation": Words(
        (
            "'{path}' is the value before the activation '{activation}'. The layers that follow"
            " never see its negative values, but they count in the map."
        ),
        fix='Take the activation:\n    layer="{activation}"',
    ).in_terminal(fix="Take the activation:\n    --layer {activation}"),
    "explain-coarse": Words(
        "The map of '{path}' has {size} positions: one covers {share:.0%} of the image.",
        fix="Choose an earlier layer{other}, or give larger images.",
    ),
    "explain-all-negative": Words(
        (
            "Every weight of '{path}' is negative for {target} in {images}: all channels speak"
            " against it, so the map is blank after the ReLU."
        ),
        fix="See what speaks against it:\n    gradcam.explain(model, images, relu=False)",
    ).in_terminal(fix="See what speaks against it:\n    gradcam explain ... --no-relu"),
    "explain-saturated": Words(
        (
            "The probability of {target} is {low:.6g} to {high:.6g} in {images}: it hardly changes"
            " any more. gradcam explains the logit, which still does."
        ),
        fix='Leave score="logit", the default.',
    ).in_terminal(fix="Leave --score logit, the default."),
    "explain-hidden-ending": Words(
        (
            "The output '{name}' went through a {activation} before its last step, so its logit"
            " can't be used. Gradients of probabilities fade where the model is sure."
        ),
        fix="Let the model end in the {activation}.",
    ),
    "explain-constant-map": Words(
        "The Grad-CAM map of '{path}' has one value everywhere in {images}: it does not say where.",
        fix="Choose another layer, or check that what follows the layer depends on positions.",
    ),
    "explain-one-channel": Words(
        (
            "One channel of '{path}' ({channels}) makes up {share:.0%} of the map of {images}: the"
            " map shows that channel."
        ),
        fix='Compare with a method that weighs each position:\n    method="layercam"',
    ).in_terminal(fix="Compare with a method that weighs each position:\n    --method layercam"),
}

_GENERAL: dict[str, Words] = {
    "not-looked-at": Words(
        "{group}: could not be looked at, because {reason}.",
        fix="Correct what is listed above it, then diagnose again.",
    ),
    "raises-when-run": Words(
        "The model raises {error} when it runs, in {where}: {reason}.",
        fix="Call model(images) to see the whole error; correct that layer first.",
    ),
}

WORDS: dict[str, Words] = (
    _INPUT
    | _FORWARD
    | _GRADIENT
    | _WEIGHTS
    | about_losses.LOSSES
    | about_training.TRANSFORMERS
    | _EXPLANATION
    | about_training.WATCH
    | _GENERAL
)
