"""About what is explained."""

from gradcam.messages.words import Words

WORDS: dict[str, Words] = {
    "several-outputs": Words(
        "The model has {count} outputs: {names}.",
        "Expected to be told which one to explain.",
        "Use gradcam.targets.Output(name, target), or Output(name) for its top classes.",
    ).in_terminal(fix="Choose one with gradcam.targets.Output(name) in Python."),
    "unknown-output": Words(
        "The model has no output {name!r}.{hint}",
        "Expected one of: {names}.",
        "Name it in Output(name, target).",
    ),
    "class-range": Words(
        "Class {index} is out of range{image}.",
        "The output has {classes}, so expected {expected}.",
        "{advice}",
    ),
    "unit-range": Words(
        "Unit {index} is out of range.",
        "The output has {units}, so expected {expected}.",
        "Units are counted from 0.",
    ),
    "ambiguous-class": Words(
        "Several classes are called '{name}': {indices}.",
        "Expected a name that only one class has.",
        "Give the index of the one you mean.",
    ),
    "one-unit": Words(
        "Class {index} was asked for, but the output is one linear unit.",
        "Expected class 0, or a side of the unit.",
        "Use gradcam.targets.Binary(positive=True) or Binary(positive=False).",
    ).in_terminal(
        received="Received --class {index}, but the output is one linear unit.",
        expected="Expected --class 0, the unit itself.",
        fix="Leave --class out.",
    ),
    "unknown-class": Words(
        "The class '{name}' is not one of class_names.",
        "Expected one of: {names}.",
        "{hint}",
    ).in_terminal(
        received="The class '{name}' is not one of the class names.",
        fix="{hint} For several classes, repeat --class.",
    ),
    "no-class-names": Words(
        "Received the class name '{name}', but no names to look it up in.",
        "Expected a class index, or class_names=[...] in the order of the model's output.",
        "Give one of the two.",
    ).in_terminal(
        expected="Expected a class index, counted from 0.",
        fix="Give the index: --class 3.",
    ),
    "class-names-length": Words(
        "Received {count} class names.",
        "The output has {classes}.",
        "Give one name per class, in the order of the output.",
    ),
    "target-kind": Words(
        "Received {received} as the target.",
        (
            "Expected None, a class index, one index per image, a class name, a function of the"
            " outputs or one of gradcam.targets."
        ),
        "{advice}",
    ).in_terminal(expected="Expected the name or the index of a class.", fix=""),
    "target-count": Words(
        "Received {count} {what} for {batch} images.",
        "Expected one per image.",
        "Give {batch}, or a single one for all.",
    ),
    "target-output": Words(
        "{target} can't be read from an output of shape {shape}.",
        "Expected an output of shape {expected}.",
        "{advice}",
    ),
    "mask-shape": Words(
        "The mask has shape {shape}.",
        "Expected {expected}, the size of the model's output.",
        "Resize the mask to it.",
    ),
    "reference-shape": Words(
        "The reference has shape {shape}.",
        "Expected {expected}, as the model's output.",
        "Take it from the same output of the model.",
    ),
    "target-function": Words(
        "The target function returned {received}.",
        "Expected a tensor of shape (batch,): one score per image.",
        "Sum over the other axes.",
    ),
    "target-raised": Words(
        "As the target, {target} raised {error}: {reason}.",
        "Expected a function that takes what the model returns, and gives one score per image.",
        "Correct it; it runs inside a graph.",
    ),
    "target-argument": Words(
        "Received {received} as {argument}.",
        "Expected {expected}.",
        "{advice}",
    ),
    "top-k": Words(
        "Received top_k={top_k}.",
        "Expected {expected}.",
        "{advice}",
    ).in_terminal(
        received="Received --class top{top_k}.",
        fix="Give another number, name one class, or leave --class out for the top class.",
    ),
    "fuse-inputs": Words(
        "The layers see different inputs: {names}.",
        "Expected layers that see the same one, so that their maps lie in one frame.",
        "Explain them one by one.",
    ),
    "fuse-frames": Words(
        "The layers see the image in different frames: {ways}.",
        "Expected layers behind the same spatial transformers.",
        "Explain them one by one.",
    ),
    "fuse-ranks": Words(
        "The layers have maps with {ranks} axes of positions.",
        "Expected the same number for all that are fused.",
        "Choose layers of one kind.",
    ),
    "unknown-option": Words(
        "Received {option}={value!r}.{hint}",
        "Expected {expected}.",
        "{advice}",
    ),
}
