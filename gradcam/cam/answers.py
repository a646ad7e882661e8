"""What a program answers about some images, read, and put together to explanations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam.cam import finite, notes
from gradcam.cam.explanation import Explanation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradcam.cam.program import Program, Results
    from gradcam.cam.question import Question
    from gradcam.cam.run import Run, Tapped
    from gradcam.cam.settings import Settings
    from gradcam.messages.notes import Note


@dataclass(frozen=True)
class Answer:
    """What a program found out about some of the images.

    Attributes:
        run: what was traced.
        results: what came out.
        first: the number of the first image.
        labels: of each aim, what was explained of each image, for each of its classes.
        on_pixels: what there is to say about the range of the images.
    """

    run: Run
    results: Results
    first: int
    labels: list[list[list[Any]]]
    on_pixels: Note | None = None

    @property
    def is_blank(self) -> bool:
        """Whether a heatmap has nothing in it."""
        heatmaps = [drawn.heatmaps for of_layer in self.results.drawn for drawn in of_layer]
        return any(not np.abs(h).max(axis=tuple(range(2, h.ndim))).all() for h in heatmaps)


def check(program: Program, question: Question) -> None:
    """Raise `TargetError` where what is asked doesn't fit the model's outputs."""
    for aimed, aim in zip(program.run.aims, question.aims, strict=True):
        aimed.target.check(program.run.outputs, aim.arguments)


def answer(program: Program, question: Question, first: int) -> Answer:
    """Ask a program about as many images as go through the model at once.

    Args:
        program: what was traced.
        question: the images and what is asked.
        first: the number of the first image, for messages.
    """
    check(program, question)
    results = program(question)
    finite.check(program, question, results, first)
    run = program.run
    names = run.settings.class_names
    labels = [
        [[aimed.target.label(int(index), names) for index in row] for row in indices]
        for aimed, indices in zip(run.aims, results.indices, strict=True)
    ]
    return Answer(run, results, first, labels)


def joined(parts: Sequence[Answer], settings: Settings) -> list[Explanation]:
    """The explanations of all images, by layer unless they were fused, by method and by aim."""
    run = parts[0].run
    groups = [[number] for number in range(len(run.tapped))]
    if settings.fuse is not None:
        groups = [list(range(len(run.tapped)))]
    return [
        _explanation(parts, settings, group, layers, method, aim)
        for group, layers in enumerate(groups)
        for method in range(len(settings.methods))
        for aim in range(len(run.aims))
    ]


def _explanation(
    parts: Sequence[Answer],
    settings: Settings,
    group: int,
    layers: list[int],
    method: int,
    aim: int,
) -> Explanation:
    """One explanation of the runs that a batch was split into."""
    run = parts[0].run
    aimed = run.aims[aim]
    is_one = aimed.aim.top_k is None
    columns = _columns(run, aim)

    def join(read: Callable[[Answer], Any]) -> Any:
        pieces = [read(part) for part in parts]
        if len(pieces) == 1 or pieces[0] is None:
            return pieces[0]
        return tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *pieces)

    def drawn(name: str) -> Any:
        values = join(lambda part: getattr(part.results.drawn[group][method], name))
        if values is None or name == "coverage":
            return values
        values = values[:, columns.start : columns.stop]
        return values[:, 0] if is_one else values

    scores = join(lambda part: part.results.scores[aim])
    labels = [row for part in parts for row in part.labels[aim]]
    paths = tuple(run.tapped[number].path for number in layers)
    said = [note for part in parts for note in _notes(part, group, layers, method, aim)]
    return Explanation(
        maps=drawn("maps"),
        heatmaps=drawn("heatmaps"),
        scores=scores[:, 0] if is_one else scores,
        outputs=join(lambda part: part.results.outputs),
        targets=tuple(row[0] if is_one else tuple(row) for row in labels),
        layer=paths[0] if len(paths) == 1 else paths,
        method=settings.methods[method],
        notes=tuple(dict.fromkeys(said)),
        warped_heatmaps=drawn("warped_heatmaps"),
        coverage=drawn("coverage"),
        signed=not settings.relu,
    )


def _columns(run: Run, aim: int) -> range:
    """The classes of one aim among those of all."""
    counts = [aimed.scores.shape[1] for aimed in run.aims]
    return range(sum(counts[:aim]), sum(counts[: aim + 1]))


def _static(run: Run, group: int, tapped: list[Tapped], method: int, aim: int) -> list[Note]:
    """What holds whatever the images: it is looked for in the graph, so once a program."""
    key = (group, method, aim)
    if key not in run.said:
        run.said[key] = [
            *notes.of_outputs(run),
            *notes.of_method(run, run.aims[aim], run.settings.methods[method]),
            *notes.of_layers(run, tapped),
        ]
    return run.said[key]


def _notes(part: Answer, group: int, layers: list[int], method: int, aim: int) -> list[Note]:
    """What there is to say about one explanation of a part of the images."""
    run, results, first = part.run, part.results, part.first
    tapped = [run.tapped[number] for number in layers]
    drawn, columns = results.drawn[group][method], _columns(run, aim)
    values = tf.nest.flatten(results.outputs)
    return [
        *([part.on_pixels] if part.on_pixels is not None else []),
        *_static(run, group, tapped, method, aim),
        *notes.on_probabilities(run, values),
        *notes.on_frames_outside(tapped, drawn, first),
        *(
            note
            for number in layers
            for note in notes.on_blank_maps(
                run, results, (number, method), columns, part.labels[aim], first
            )
        ),
        *notes.on_blank_heatmaps(tapped, drawn, first),
    ]
