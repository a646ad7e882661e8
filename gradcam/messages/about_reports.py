"""About the report."""

from gradcam.messages.words import Words

WORDS: dict[str, Words] = {
    "report-unreadable": Words(
        "'{path}' can't be read: {reason}.",
        "Expected the file that `gradcam explain` writes into its output folder.",
        "Give that folder.",
    ),
    "report-manifest": Words(
        "'{path}' is no manifest that can be shown: {reason}.",
        "Expected one of schema 1, as `gradcam explain` writes it.",
        "Run the command again with --overwrite.",
    ),
    "report-outside": Words(
        "'{path}' names the file '{name}'.",
        "Expected files in that folder or below it.",
        "Run the command again with --overwrite.",
    ),
    "report-unwritable": Words(
        "The report '{path}' can't be written: {reason}.",
        "Expected a folder with room that may be written to.",
        "Check the folder and the disk; the other files are there.",
    ),
}
