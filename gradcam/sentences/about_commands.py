"""About the command line: what was typed, the files it names, the folder it writes to."""

SENTENCES: dict[str, str] = {
    "unknown-command": ("Received the command '{name}'. Expected one of: {names}.{hint}"),
    "no-command": ("Received {received}. Expected a command: {names}. See gradcam --help."),
    "unknown-argument": (
        "Received the unknown option '{name}'.{hint} Expected one of those that --help lists."
    ),
    "unexpected": (
        "Something unexpected happened: {kind}: {reason}. This is a mistake in gradcam or in code"
        " that it was given. Run the command again with --debug to see where."
    ),
    "model-unreadable": (
        "The model '{path}' can't be loaded: {reason}. Expected a .keras or .h5 file or a"
        " SavedModel folder."
    ),
    "import-failed": (
        "--import {name} failed: {reason}. Expected the name of a Python module, such as my_layers"
        " for my_layers.py in this folder."
    ),
}
