"""About the directory of a SavedModel."""

from gradcam.messages.words import Words

WORDS: dict[str, Words] = {
    "saved-model-missing": Words(
        "'{path}' holds no SavedModel: {found}.",
        "Expected saved_model.pb and a directory variables.",
        "Give the directory that holds saved_model.pb itself, or copy it whole.",
    ),
    "saved-model-unreadable": Words(
        "'{path}' can't be read: {reason}.",
        "Expected the files of a SavedModel that this user may read.",
        "Check its permissions and links.",
    ),
    "saved-model-damaged": Words(
        "'{path}' is not the program of a SavedModel: {reason} ({size} bytes).",
        "Expected a whole saved_model.pb.",
        "Copy or download the directory again.",
    ),
    "saved-model-broken": Words(
        "The program of the SavedModel '{path}' doesn't hold together ({reason}).",
        "Expected nodes, functions and signatures that fit.",
        "Copy the directory again, or save the model again.",
    ),
    "saved-model-too-large": Words(
        "The SavedModel '{path}' is too large to be run: {what}.",
        (
            "Expected at most a million operations, with names of at most 1000 characters and"
            " constants that are in the file."
        ),
        "Save the model again.",
    ),
    "saved-model-lfs": Words(
        "'{path}' is a Git LFS pointer: a text of {size} bytes that stands for the file.",
        "Expected the file itself.",
        "Run `git lfs pull` in its repository.",
    ),
    "saved-model-split": Words(
        "'{path}' is a SavedModel in the split format for programs above 2 GB (saved_model.cpb).",
        "Expected saved_model.pb.",
        "Save it again with its weights as variables, and without experimental_image_format.",
    ),
    "saved-model-variables": Words(
        (
            "The variables of the SavedModel '{path}' are not all there: its directory variables"
            " holds {found}{reason}."
        ),
        "Expected variables.index and every shard variables.data-00000-of-0000N.",
        "Copy the directory again, with all of its files.",
    ),
    "saved-model-no-value": Words(
        (
            "The SavedModel '{path}' has no value for what its graph reads: {names}. Its"
            " directory variables holds {found}."
        ),
        "Expected a checkpoint of this graph.",
        "Save the model again, after its variables were initialised.",
    ),
    "saved-model-asset": Words(
        (
            "The SavedModel '{path}' fills a table from {name} in its directory assets, which"
            " can't be read."
        ),
        "Expected the file that was saved with it.",
        "Copy the directory again, with all of its files.",
    ),
    "saved-model-no-signature": Words(
        "The SavedModel '{path}' has no signature, and no traced function at its root.",
        "Expected one to run.",
        (
            "Save it with tf.saved_model.save(module, path,"
            " signatures=module.__call__.get_concrete_function(tf.TensorSpec(...)))."
        ),
    ),
    "saved-model-no-function": Words(
        "The SavedModel '{path}' holds the variables {names}, {function}.",
        "Expected a function that was traced.",
        (
            "Save the module again with @tf.function(input_signature=[tf.TensorSpec((None, 224,"
            " 224, 3), tf.float32)]), in the shape of its images, above its __call__."
        ),
    ),
    "signature-unknown": Words(
        "The SavedModel '{path}' has no signature '{name}'.{hint}",
        "Expected one of: {names}.",
        "Choose it with signature=.",
    ).in_terminal(
        fix="Choose it with --signature.",
    ),
    "signature-in-doubt": Words(
        "The SavedModel '{path}' has several signatures, and none is called serving_default.",
        "Expected one of: {names}.",
        "Choose it with signature=.",
    ).in_terminal(
        fix="Choose it with --signature.",
    ),
    "saved-model-unfed": Words(
        (
            "The signature '{signature}' of the SavedModel '{path}' leaves out inputs that its"
            " graph needs: {names}."
        ),
        "Expected a signature with all of them.",
        "Choose another one with signature=, or export the model again for inference.",
    ).in_terminal(
        fix="Choose another one with --signature, or export the model again for inference.",
    ),
    "saved-model-unsafe": Words(
        "The SavedModel '{path}' is a program that does more than compute: {found}.",
        "Expected one that touches no files and runs no Python.",
        "If you trust whoever made it, gradcam.load_model(path, safe_mode=False) opens it.",
    ).in_terminal(
        fix="If you trust whoever made it, --unsafe opens it.",
    ),
    "saved-model-unknown-operations": Words(
        "The SavedModel '{path}' uses operations that this TensorFlow does not have: {names}.",
        "Expected operations of TensorFlow alone.",
        (
            "Load the library that brings them with tf.load_op_library first, or export the model"
            " without them."
        ),
    ),
    "saved-model-opaque": Words(
        (
            "The SavedModel '{path}' holds its network as {found}. Nothing in there can be seen"
            " or differentiated."
        ),
        "Expected operations of TensorFlow.",
        "Export the model again without compiling it for one device.",
    ),
    "saved-model-quantised": Words(
        "The SavedModel '{path}' is quantised: it uses {names}.",
        "Expected a model in floating point; gradients do not survive the rounding.",
        "Explain the model from before the quantisation.",
    ),
    "saved-model-bound": Words(
        (
            "The SavedModel '{path}' has no signatures, and its function uses a {kind} that only"
            " its own code can make."
        ),
        "Expected variables and constants.",
        "Save it again with signatures.",
    ),
}
