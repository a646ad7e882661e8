"""About the command line: what was typed, the files it names, the folder it writes to."""

from gradcam.messages.words import Words

WORDS: dict[str, Words] = {
    "command-unknown": Words(
        "Received the command '{name}'.{hint}",
        "Expected one of: {names}.",
        "See gradcam --help.",
    ),
    "command-missing": Words(
        "Received {received}.",
        "Expected a command: {names}.",
        "See gradcam --help.",
    ),
    "flag-unknown": Words(
        "Received '{name}', which is no option of {command}.{hint}",
        "Expected one of those that {command} --help lists.",
    ),
    "unexpected": Words(
        (
            "Something unexpected happened: {kind}: {reason}. This is a mistake in gradcam, or in"
            " code that it was given to run."
        ),
        fix="Run the command again with --debug to see where.",
    ),
    "system-refused": Words(
        "The system refused something: {reason}.",
        "Expected files and folders that can be read and written.",
        "Check the path, its permissions and the space that is left.",
    ),
    # the model
    "model-not-given": Words(
        "No model was given.",
        (
            "Expected --model with a .keras or .h5 file, a SavedModel folder, or the name of a"
            " keras.applications network."
        ),
        "Try --model MobileNetV2.",
    ),
    "model-missing": Words(
        (
            "The model '{path}' does not exist, and no network of keras.applications has that"
            " name.{hint}"
        ),
        "Expected a .keras or .h5 file, a SavedModel folder, or a name such as MobileNetV2.",
    ),
    "import-is-a-path": Words(
        "Received --import {name}, which is a file.",
        "Expected the name of a module: --import {module}, from the folder that holds {module}.py.",
    ),
    "import-failed": Words(
        "--import {name} failed: {reason}.",
        (
            "Expected the name of a Python module that can be imported, such as my_layers for"
            " my_layers.py in this folder."
        ),
    ),
    "weights-missing": Words(
        "The weights of {name} are not on this computer and can't be downloaded: {reason}.",
        "Expected a connection to storage.googleapis.com the first time.",
        (
            "Run the command once with a network; or save the network elsewhere with"
            " keras.applications.{name}().save('{name}.keras'), copy the file, and give its path"
            " to --model."
        ),
    ),
    "model-inputs": Words(
        "The model has {count} inputs: {names}.",
        "Expected one, the image: the command has nothing to give to the others.",
        "Use gradcam.explain in Python with all of them.",
    ),
    "model-input-rank": Words(
        "The model takes inputs of shape {shape}.",
        "Expected images: (batch, height, width, channels).",
        "Use gradcam.explain in Python for other data.",
    ),
    "model-channels": Words(
        "The model takes images of {channels} channels (its input has the shape {shape}).",
        "Expected 1 (grey) or 3 (RGB), which is what photographs have.",
        "Use gradcam.explain in Python.",
    ),
    "size-unknown": Words(
        "The model takes images of any size, so it is not known which one is right.",
        "Expected --size HxW, such as --size 224x224: the size that it was trained with.",
    ),
    "size-differs": Words(
        "Received --size {size}. The model takes images of {expected} only.",
        fix="Leave --size out.",
    ),
    "preprocess-unknown": Words(
        "{suggestion}Which pixel values the model was trained with can't be seen in it.{hint}",
        fix=(
            "Say it with --preprocess: raw (0 to 255), unit (0 to 1), signed (-1 to 1), the name"
            " of a keras.applications network, or your own module:function."
        ),
    ),
    "preprocess-failed": Words(
        "--preprocess {name} failed with {error}: {reason}.",
        (
            "Expected a function that takes a batch (images, height, width, channels) of float32"
            " in 0 to 255."
        ),
        "Correct it, or its name.",
    ),
    "preprocess-result": Words(
        "--preprocess {name} returned {dtype} of shape {shape} for images of shape {given}.",
        "Expected as many numbers: images, height and width stay.",
        "Correct the function.",
    ),
    "output-missing": Words(
        "The model has {count} outputs: {names}.",
        "Expected to be told which one is explained.",
        "Name it with --output NAME.",
    ),
    "output-unknown": Words(
        "The model has no output '{name}'.{hint}",
        "Expected one of: {names}.",
        "Name it with --output.",
    ),
    "labels-unreadable": Words(
        "The class names can't be read from '{path}': {reason}.",
        (
            "Expected a text file with one name a line, in the order of the model's output, with"
            " or without an index before each."
        ),
    ),
    "labels-count": Words(
        "Class names in '{path}': {count}. Classes of the model: {classes}.",
        fix="Give one name a line for each class, in the order of the output.",
    ),
    "class-without-names": Words(
        "Received --class '{name}' but no class names to look it up in.",
        "Expected the number of a class, counted from 0, or top3.",
        "Give the names with --class-names FILE.",
    ),
    "class-ambiguous": Words(
        "Several classes are called '{name}': {indices}.",
        "Expected one.",
        "Give its number: --class {first}.",
    ),
    # layers
    "filter-empty": Words(
        "None of the {count} layers has '{text}' in its path or kind.",
        "Expected a part of a name, in which * stands for anything.",
        "Leave --filter out to see all of them.",
    ),
    # photographs
    "photo-not-given": Words(
        "No photograph was given.",
        "Expected image files, folders with images, or patterns such as 'photos/*.jpg'.",
        "Name one before the options.",
    ),
    "photo-missing": Words(
        "'{path}' does not exist.{hint}",
        "Expected image files, folders with images, or patterns such as 'photos/*.jpg'.",
    ),
    "pattern-empty": Words(
        "The pattern '{pattern}' matches no file.",
        "Expected at least one image.",
        "Check the folder, and upper and lower case.",
    ),
    "folder-empty": Words(
        "The folder '{path}' holds no image.",
        "Expected files ending in one of: {endings}.",
        "What is hidden, and what an earlier run wrote, doesn't count.",
    ),
    "no-regular-file": Words(
        "'{path}' is neither a file nor a folder.",
        "Expected an image file.",
        "Copy the image to a file first.",
    ),
    # the folder of results
    "out-is-a-file": Words(
        "--out leads to '{path}', which is a file.",
        "Expected a folder, or a name that is still free.",
        "Choose another.",
    ),
    "out-among-photos": Words(
        "'{path}' is the folder of the photographs, and --out too.",
        "Expected a folder for the results alone.",
        "Choose another with --out.",
    ),
    "out-unwritable": Words(
        "Nothing can be written to '{path}': {reason}.",
        "Expected a folder with permission to write and space left.",
        "Choose another with --out.",
    ),
    "out-other-settings": Words(
        "'{path}' holds the results of a run with other settings: {differences}.",
        "Expected the same settings, or another folder.",
        "Choose one with --out, or give --overwrite to replace those results.",
    ),
    "out-foreign-manifest": Words(
        "'{path}' holds a manifest.json that this version of gradcam did not write.",
        "Expected none, or one of its own.",
        "Choose another folder with --out, or give --overwrite to replace it.",
    ),
    "out-full": Words(
        "'{path}' can't be written: {reason}.",
        "Expected space for the results.",
        "The images that are done stay done: make room, then run the same command with --resume.",
    ),
    # warnings and notes
    "note-frame": Words(
        "The layer looks through a spatial transformer and saw {share} of the photographs.",
        fix="The heatmaps are carried back to where it looked; the rest stays without colour.",
    ),
    "note-top-all": Words(
        "The output has no more than {count} classes: --class {asked} explains all of them.",
    ),
    "warn-scaling-doubt": Words(
        (
            "{layer} {doubt}, as if it expected pixels from 0 to 1, but it is given 0 to 255"
            " (--preprocess raw)."
        ),
        fix="If the model was trained on images from 0 to 1, give --preprocess unit.",
    ),
    "warn-labels-count": Words(
        "'{path}' has {count} names, but the model has {classes} classes: the file is not used.",
    ),
    "warn-no-class-names": Words(
        "The names of the ImageNet classes can't be downloaded: classes are shown by number.",
        fix="Give them with --class-names FILE.",
    ),
    "timeout-value": Words(
        "Received --timeout {received}.",
        "Expected a number of seconds above 0, such as 600.",
        "Correct it, or leave it out.",
    ),
    "timed-out": Words(
        (
            "The command was ended after {seconds} seconds, as --timeout asked. What is done"
            " stays done."
        ),
        fix="Give it more time, and --resume; a model that loops without end never returns.",
    ),
    "preprocess-of-teachable-machine": Words(
        (
            "Most likely right: --preprocess signed; '{path}' beside labels.txt is what Teachable"
            " Machine exports, and that trains with pixels from -1 to 1."
        ),
        "Expected to be told.",
        "Give --preprocess signed; or raw, unit or another where the model comes from elsewhere.",
    ),
}
