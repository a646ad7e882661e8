"""What `diagnose` finds between the output and the loss, and of weights that are no numbers."""

from gradcam.messages.words import Words

LOSSES: dict[str, Words] = {
    "loss-expects-probabilities": Words(
        (
            "The output '{name}' is linear ({low:.3g} to {high:.3g} on these images), and the"
            " loss {loss} takes it for probabilities (from_logits=False): what is not between 0"
            " and 1 is cut off, and so is its gradient. The model hardly learns, or not at all."
        ),
        fix=('Tell the loss, or end the model in activation="{activation}":\n    {line}'),
    ),
    "loss-expects-logits": Words(
        (
            "The output '{name}' went through a {ending}, and the loss {loss} takes it for logits"
            " (from_logits=True). Keras looks behind the {ending} where it can, and warns; where"
            " it can't, the probabilities are squashed once more and the model learns slowly."
        ),
        fix=("Tell the loss, or end the model without activation:\n    {line}"),
    ),
    "ends-twice": Words(
        (
            "The output '{name}' goes through a {first} and then a {ending}. The second squashes"
            " what the first made: the probabilities stay close to each other, and the loss stays"
            " high."
        ),
        fix="Take one of the two out.",
    ),
    "non-finite-weights": Words(
        (
            "There is NaN or infinity in {variables}. Training has broken them, most likely by a"
            " step that was too large or a loss that was NaN. What they touch is NaN, or zero"
            " after a ReLU."
        ),
        fix=(
            "Load an earlier checkpoint, or build the model again, and train with smaller,"
            " clipped steps:\n"
            "    keras.optimizers.Adam(1e-4, clipnorm=1.0)"
        ),
    ),
}
