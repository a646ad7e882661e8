"""About what is explained."""

SENTENCES: dict[str, str] = {
    "several-outputs": (
        "The model has {count} outputs: {names}. Expected to be told which one is explained. Use"
        " gradcam.targets.Output(name, target), or Output(name) for the top classes there."
    ),
    "unknown-output": (
        "The model has no output {name!r}.{hint} Expected one of: {names}. Name it in Output(name,"
        " target)."
    ),
    "class-range": (
        "Class {index} is out of range{image}. The output has {classes}, so expected {expected}."
        "{advice}"
    ),
    "unit-range": (
        "Unit {index} is out of range. The output has {units}, so expected {expected}. Units are"
        " counted from 0."
    ),
    "ambiguous-class": (
        "The class name '{name}' stands for the classes {indices} of class_names. Expected a name"
        " that only one has. Give the index of the one that is meant."
    ),
    "one-unit": (
        "Class {index} was asked for, but the output is one linear unit. Expected class 0, or a"
        " side of the unit. Use gradcam.targets.Binary(positive=True) or Binary(positive=False)."
    ),
    "unknown-class": (
        "The class '{name}' is not one of class_names. Expected one of: {names}.{hint}"
    ),
    "no-class-names": (
        "Received the class name '{name}' but no names to look it up in. Expected an index, or"
        " class_names=[...] in the order of the model's output. Give either."
    ),
    "class-names-length": (
        "Received {count} class_names. The output has {classes}. Give one name a class, in"
        " the order of the output."
    ),
    "target-kind": (
        "Received {received} as the target. Expected None, a class index, one index an image, a"
        " class name, a function of the outputs or one of gradcam.targets.{advice}"
    ),
    "target-count": (
        "Received {count} {what} for {batch} images. Expected one an image. Give {batch}, or a"
        " single one for all."
    ),
    "target-output": (
        "{target} can't be read from an output of shape {shape}. Expected an output of shape"
        " {expected}. {advice}"
    ),
    "mask-shape": (
        "The mask has shape {shape}. Expected {expected}, the size of the model's output. Resize"
        " the mask to it."
    ),
    "reference-shape": (
        "The reference has shape {shape}. Expected {expected}, as the model's output. Take it from"
        " the same output of the model."
    ),
    "target-function": (
        "The target function returned {received}. Expected a tensor of shape (batch,): one score"
        " an image. Sum over the other axes."
    ),
    "target-raised": (
        "As the target, {target} raised {error}: {reason}. Expected a function that takes what the"
        " model returns, and gives one score an image. Correct it; it runs inside a graph."
    ),
    "target-argument": "Received {received} as {argument}. Expected {expected}. {advice}",
    "top-k": ("Received top_k={top_k}. Expected {expected}. {advice}"),
    "fuse-inputs": (
        "The layers see different inputs: {names}. Expected layers that see the same one, so that"
        " their maps lie in one frame. Explain them one by one."
    ),
    "fuse-frames": (
        "The layers see the image in different frames: {ways}. Expected layers behind the same"
        " spatial transformers. Explain them one by one."
    ),
    "fuse-ranks": (
        "The layers have maps with {ranks} axes of positions. Expected the same number for all"
        " that are fused. Choose layers of one kind."
    ),
    "unknown-option": "Received {option}={value!r}.{hint} Expected {expected}. {advice}",
}
