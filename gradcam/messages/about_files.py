"""About the file or directory that a model is loaded from."""

from gradcam.messages.words import Words

WORDS: dict[str, Words] = {
    "file-not-found": Words(
        "There is nothing at '{path}'.{hint}",
        "Expected a .keras or .h5 file, or the directory of a SavedModel.",
        "Check the path; a relative one starts at '{start}'.",
    ),
    "file-unreadable": Words(
        "'{path}' can't be read: {reason}.",
        "Expected a .keras or .h5 file, or the directory of a SavedModel, that this user may read.",
        "Check its permissions and links.",
    ),
    "not-a-model-file": Words(
        "'{path}' is {found}.",
        "Expected a .keras or .h5 file, or the directory of a SavedModel.",
        "{advice}",
    ),
    "file-damaged": Words(
        "'{path}' is {found}, but damaged: {reason}.",
        "Expected the whole file; {size} bytes are there.",
        "Copy or download it again.",
    ),
    "file-reaches-out": Words(
        "'{path}' reads what lies outside of it: {found}.",
        "Expected all weights in the file itself.",
        "Save the model again with Keras; take this file from nobody whom you don't trust.",
    ),
    "file-inflated": Words(
        (
            "'{path}' claims more than it holds: {what} would take {claimed} bytes, of which"
            " {stored} are stored."
        ),
        "Expected a file whose weights are in it.",
        "Save or download the model again.",
    ),
    "weights-only": Words(
        "'{path}' holds weights without the architecture: {found}.",
        "Expected a file of model.save(...).",
        (
            "Build the model with the code that made it, call model.load_weights(path), and give"
            " the model to gradcam, or save it whole with model.save('model.keras')."
        ),
    ),
    "unsafe-file": Words(
        "'{path}' brings Python code along, which loading would run: {what}.",
        "Expected a file without code.",
        "If you trust whoever made it, gradcam.load_model(path, safe_mode=False) runs it.",
    ).in_terminal(
        fix="If you trust whoever made it, --unsafe runs it.",
    ),
    "code-unreadable": Words(
        "The code of the Lambda layer '{layer}' in '{path}' can't be read: {reason}.",
        "Expected code written by Python {version}; each version of Python writes its own.",
        (
            "Write the function again, and pass it: gradcam.load_model(path,"
            " custom_objects={{'{layer}': function}})."
        ),
    ).in_terminal(
        fix=(
            "Write the function again in a module, under the name {layer}, and give the module"
            " with --import MODULE."
        ),
    ),
    "custom-object": Words(
        "'{path}' needs what Keras does not have: {what}.",
        "Expected it in custom_objects.",
        "Import it, and call gradcam.load_model(path, custom_objects={{{objects}}}).{advice}",
    ).in_terminal(
        expected="Expected to be told where it is.",
        fix="In the command, --import MODULE imports the module that defines it.{advice}",
    ),
    "unknown-argument": Words(
        (
            "The {kind} '{layer}' in '{path}', written by {writer}, has the argument"
            " {argument}={value}. Keras {version} has none of that name, and leaving it out would"
            " change what the model computes."
        ),
        fix="Rebuild the model without it, with the code that made it, and copy the weights.",
    ),
    "unknown-operation": Words(
        "The {kind} '{layer}' in '{path}', written by {writer}, calls {function}.",
        "Expected an operation of the table in docs/files.md.",
        (
            "Write it as a layer of your own in the code that made the model, and save that; or"
            " export the model as a SavedModel with the Keras that made it, and load that."
        ),
    ),
    "cannot-rebuild": Words(
        (
            "The model in '{path}', written by {writer}, can't be rebuilt with Keras {version}:"
            " {where}{reason}."
        ),
        "Expected layers and arguments of Keras.",
        "Build the model with the code that made it, load the weights, and save it again.",
    ),
    "weights-misfit": Words(
        "The weights in '{path}', written by {writer}, don't fit its own layers: {reason}.",
        "Expected one array for each weight, of the same shape.",
        "Save the model again; it may have been changed after it was built.",
    ),
    "signature-of-a-file": Words(
        "Received signature={signature!r} for '{path}', which is a Keras model.",
        "Expected a signature only with the directory of a SavedModel.",
        "Leave it out.",
    ).in_terminal(
        received="Received --signature {signature} for '{path}', which is a Keras model.",
    ),
}
