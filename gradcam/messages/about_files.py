"""About the file or directory that a model is loaded from."""

SENTENCES: dict[str, str] = {
    "file-not-found": (
        "There is nothing at '{path}'.{hint} Expected a .keras or .h5 file, or the directory of a"
        " SavedModel. Check the path; a relative one starts at '{start}'."
    ),
    "file-unreadable": (
        "'{path}' can't be read: {reason}. Expected a .keras or .h5 file, or the directory of a"
        " SavedModel, that this user may read. Check its permissions and links."
    ),
    "not-a-model-file": (
        "'{path}' is {found}. Expected a .keras or .h5 file, or the directory of a SavedModel."
        " {advice}"
    ),
    "file-damaged": (
        "'{path}' is {found}, but damaged: {reason}. Expected the whole file; {size} bytes are"
        " there. Copy or download it again."
    ),
    "file-reaches-out": (
        "'{path}' reads what lies outside of it: {found}. Expected all weights in the file itself."
        " Save the model again with Keras; take this file from nobody whom you don't trust."
    ),
    "file-inflated": (
        "'{path}' claims more than it holds: {what} would take {claimed} bytes, of which {stored}"
        " are stored. Expected a file whose weights are in it. Save or download the model again."
    ),
    "weights-only": (
        "'{path}' holds weights without the architecture: {found}. Expected a file of"
        " model.save(...). Build the model with the code that made it, call"
        " model.load_weights(path), and give the model to gradcam, or save it whole with"
        " model.save('model.keras')."
    ),
    "unsafe-file": (
        "'{path}' brings Python code along, which loading would run: {what}. Expected a file"
        " without code. If you trust whoever made it, gradcam.load_model(path, safe_mode=False)"
        " runs it."
    ),
    "code-unreadable": (
        "The code of the Lambda layer '{layer}' in '{path}' can't be read: {reason}. Expected code"
        " written by Python {version}; each version of Python writes its own. Write the function"
        " anew, and pass it: gradcam.load_model(path, custom_objects={{'{layer}': function}})."
    ),
    "custom-object": (
        "'{path}' needs what Keras does not have: {what}. Expected it in custom_objects. Import"
        " it, and call gradcam.load_model(path, custom_objects={{{objects}}}).{advice}"
    ),
    "unknown-argument": (
        "The {kind} '{layer}' in '{path}', written by {writer}, has the argument"
        " {argument}={value}. Keras {version} has none of that name, and leaving it out would"
        " change what the model computes. Build the model anew without it, with the code that made"
        " it, and copy the weights."
    ),
    "unknown-operation": (
        "The {kind} '{layer}' in '{path}', written by {writer}, calls {function}. Expected an"
        " operation of the table in docs/files.md. Write it as a layer of your own in the code"
        " that made the model, and save that; or export the model as a SavedModel with the Keras"
        " that made it, and load that."
    ),
    "cannot-rebuild": (
        "The model in '{path}', written by {writer}, can't be rebuilt with Keras {version}:"
        " {where}{reason}. Expected layers and arguments of Keras. Build the model with the code"
        " that made it, load the weights, and save it anew."
    ),
    "weights-misfit": (
        "The weights in '{path}', written by {writer}, don't fit its own layers: {reason}. Expected"
        " one array for each weight, of the same shape. Save the model again; it may have been"
        " changed after it was built."
    ),
    "signature-of-a-file": (
        "Received signature={signature!r} for '{path}', which is a Keras model. Expected a"
        " signature only with the directory of a SavedModel. Leave it out."
    ),
}
