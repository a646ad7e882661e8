"""About the callbacks that write pictures while a model trains."""

from gradcam.messages.words import Words

WORDS: dict[str, Words] = {
    "callback-folder": Words(
        "Received log_dir={log_dir!r} and folder={folder!r}, and can't write there: {reason}.",
        "Expected folders that exist or can be made.",
        "Check the paths and who may write to them.",
    ),
    "callback-pictures": Words(
        "The model takes several inputs, and none was named to be drawn.",
        "Expected the images to draw the heatmaps over.",
        "Give pictures=, one image a row, of the size of the input that the heatmaps belong to.",
    ),
    "callback-count": Words(
        "Received {count} images to watch.",
        "Expected 1 to 64, which fit on a sheet.",
        "Choose some, as with images[:16].",
    ),
    "callback-skipped": Words(
        (
            "ExplainCallback wrote nothing after {when}: {reason}. The training goes on; this is"
            " said once."
        ),
        (
            "Expected heatmaps as before: look at the weights for NaN, and whether there is room"
            " in the folders."
        ),
    ),
}
