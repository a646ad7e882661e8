"""What `diagnose` finds of spatial transformers, and what is said while a model trains."""

from gradcam.messages.words import Words

TRANSFORMERS: dict[str, Words] = {
    "transformer-start": Words(
        (
            "'{path}' looks untrained and does not start at the identity: theta is {theta}, the"
            " identity {identity}. The network behind it first sees a part of the image at random."
        ),
        fix=(
            "End the localisation network in a layer that starts at the identity:\n"
            "    theta = keras_stn.ThetaRegression({family!r})(features)"
        ),
    ),
    "transformer-black": Words(
        (
            "{share:.0%} of the grid of '{path}' lies outside the image for {images}: the output"
            " shows nothing of it. theta is {theta}."
        ),
        fix=(
            "Keep theta near the identity: smaller steps and a limit, and train again:\n"
            "    keras_stn.ThetaRegression({family!r}, step_size=0.1, limit=1.0)"
        ),
    ),
    "transformer-outside": Words(
        (
            "{share:.0%} of the grid of '{path}' lies outside the image for {images}. So much of"
            " the output is filled up."
        ),
        fix=(
            "Bound how far theta gets, or pull it back:\n"
            "    keras_stn.ThetaRegression({family!r}, limit=0.5, penalty=0.01)"
        ),
    ),
    "transformer-collapsed": Words(
        (
            "The output of '{path}' shows hardly more than a line or a point of {images}: the"
            " smallest zoom is {smallest:.2g}, the determinant {determinant:.2g}."
        ),
        fix=(
            "Use a family with fewer parameters, or\n"
            "    keras_stn.ThetaRegression({family!r}, limit=0.5, penalty=0.01)"
        ),
    ),
    "transformer-mirrored": Words(
        (
            "The determinant of theta of '{path}' is negative ({determinant:.2g}) for {images}:"
            " the output is mirrored."
        ),
        fix=(
            "Bound theta with limit=0.5 unless mirroring is meant, or use a family that can't"
            ' mirror, such as "attention".'
        ),
    ),
    "transformer-shrunk": Words(
        (
            "'{path}' zooms out by {largest:.3g} for {images}: the image is 1/{largest:.3g} of"
            " its size in the output."
        ),
        fix=("Bound the scale:\n    keras_stn.ThetaRegression({family!r}, limit=0.5)"),
    ),
    "transformer-no-gradient": Words(
        (
            "No gradient of {target} reaches theta of '{path}'{why}. Its localisation network"
            " does not learn."
        ),
        fix=(
            'Use interpolation="bilinear", no stop_gradient, and a theta that keeps the grid'
            " inside."
        ),
    ),
    "transformer-nearest": Words(
        (
            "'{path}' reads with interpolation=\"nearest\" under a trainable localisation"
            " network: the output doesn't change with a small change of theta, which therefore"
            " never learns."
        ),
        fix=('Use\n    interpolation="bilinear"'),
    ),
    "transformer-gradient-scale": Words(
        (
            "The localisation network of '{path}' has gradients {factor:.3g} times {direction}"
            " than the median of the other layers ({measured:.2g} against {middle:.2g})."
        ),
        fix=(
            "Give it a step of its own, which works with Adam too:\n"
            "    keras_stn.ThetaRegression({family!r}, step_size={step:g})"
        ),
    ),
    "transformer-fill": Words(
        (
            "'{path}' reads {share:.0%} of its grid outside of the images and fills it with"
            " {fill:g}, but the images' edges are {edge:.3g} on average: an edge that isn't there."
        ),
        fix=('For photographs repeat the edge pixels:\n    fill_mode="nearest"'),
    ),
    "transformer-corners": Words(
        (
            "'{path}' samples {before} to {after} with align_corners=True, which lets the corner"
            " pixels' centres coincide: at this size a shift of up to {shift:.2g} output pixels"
            " against keras.layers.Resizing."
        ),
        fix=("Where the two must agree:\n    align_corners=False"),
    ),
    "transformer-constant": Words(
        (
            "The localisation network of '{path}' gives every image the same theta, {theta}, and"
            " {share:.0%} of its grid lies outside the image. It does not start at the identity,"
            " which is {identity}."
        ),
        fix=(
            "End the localisation network in a layer that starts there:\n"
            "    theta = keras_stn.ThetaRegression({family!r})(features)\n"
            "or give your own Dense layer zeros in the kernel and the identity in the bias:\n"
            "    start = keras.initializers.Constant({identity})\n"
            '    keras.layers.Dense({units}, kernel_initializer="zeros", bias_initializer=start)'
        ),
    ),
}

WATCH: dict[str, Words] = {
    "watch-none": Words(
        (
            "GradientWatch, batch {batch}: the gradient of {layers} is None. It will never learn:"
            " it is not used, or an operation without a gradient stands between it and the loss."
            " gradcam.diagnose(model, images) says which."
        ),
    ),
    "watch-zero": Words(
        (
            "GradientWatch, batch {batch}: the gradient of {layers} is zero in several batches in"
            " a row. It does not learn any more: look for a dead ReLU, a saturated activation, or"
            " a spatial transformer that has left the image. gradcam.diagnose(model, images) says"
            " which."
        ),
    ),
    "watch-not-finite": Words(
        (
            "GradientWatch, batch {batch}: gradients are NaN or infinite, the first that of"
            " {layers}, and so are the weights after the next step. Stop, look for NaN in the"
            " batch, lower the learning rate or clip the gradients (clipnorm=1.0), and look for a"
            " division by zero, a logarithm or a root of zero."
        ),
    ),
    "watch-every": Words(
        (
            "Received every={received}. Expected a whole number of batches, at least {least}. Use"
            " GradientWatch() for every 100."
        ),
    ),
}
