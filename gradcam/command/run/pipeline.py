"""Reads, explains and writes at the same time, in a fixed order and in bounded memory.

Photographs go through the model in batches that depend only on the list of photographs. Threads
read the next batches while the model works on one, and write the results of the last ones; no more
than a few batches are ever in memory.
"""

from __future__ import annotations

import contextlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import tensorflow as tf

from gradcam.command.run import results
from gradcam.errors import GradCamError, ImageError
from gradcam.messages import catalogue, wording
from gradcam.messages.words import Voice

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from gradcam.cam.explanation import Explanation
    from gradcam.command.run.plan import Plan
    from gradcam.command.run.results import Photo

READERS, WRITERS = 2, 2
BATCHES_AHEAD, BATCHES_BEHIND = 2, 2

Entry = dict[str, Any]


def batches(paths: Sequence[str], size: int) -> list[list[str]]:
    """The photographs that go through the model together.

    >>> batches(["a", "b", "c"], 2)
    [['a', 'b'], ['c']]
    """
    return [list(paths[first : first + size]) for first in range(0, len(paths), size)]


def entries(
    plan: Plan, todo: Sequence[Sequence[str]], stems: Mapping[str, str], done: set[str]
) -> Generator[Entry, None, None]:
    """What the manifest says of each photograph, in order, once its files are written.

    Args:
        plan: the model, and what is asked of it.
        todo: batches of paths.
        stems: what the files of each path begin with.
        done: paths that only keep their batch what it was: nothing is written for them.

    Raises:
        GradCamError: the folder of results can't be written to any more.
    """
    with _Pools() as pools:
        reading: deque[list[Future[Photo]]] = deque()
        writing: deque[list[tuple[str, Future[Entry]]]] = deque()
        for number in range(len(todo) + BATCHES_AHEAD):
            if number < len(todo):
                paths = todo[number]
                reading.append([pools.read(path, stems[path], plan) for path in paths])
            if number < BATCHES_AHEAD:
                continue
            paths = todo[number - BATCHES_AHEAD]
            results_of = _explained(plan, paths, reading.popleft())
            writing.append(
                [(path, pools.write(task)) for path, task in results_of if path not in done]
            )
            while len(writing) > BATCHES_BEHIND:
                yield from _finished(plan, writing.popleft(), writing)
        while writing:
            yield from _finished(plan, writing.popleft(), writing)


class _Pools:
    """The threads that read and those that write; what waits is dropped when the run ends early."""

    def __enter__(self) -> Self:
        self._readers = ThreadPoolExecutor(READERS, "gradcam-read")
        self._writers = ThreadPoolExecutor(WRITERS, "gradcam-write")
        return self

    def __exit__(self, *error: object) -> None:
        self._readers.shutdown(cancel_futures=True)
        self._writers.shutdown(cancel_futures=True)

    def read(self, path: str, stem: str, plan: Plan) -> Future[Photo]:
        return self._readers.submit(results.prepare_photo, path, stem, plan)

    def write(self, task: Callable[[], Entry]) -> Future[Entry]:
        return self._writers.submit(task)


def _finished(
    plan: Plan,
    batch: Sequence[tuple[str, Future[Entry]]],
    later: deque[list[tuple[str, Future[Entry]]]],
) -> Iterator[Entry]:
    """The entries of a batch; where a file could not be written, those that could, then an error."""
    for number, (path, future) in enumerate(batch):
        try:
            yield future.result()
        except OSError as error:
            reason = error.strerror or str(error)
            yield failed(path, f"Its files can't be written: {reason}.")
            rest = [*batch[number + 1 :], *(pair for pairs in later for pair in pairs)]
            for _, other in rest:
                with contextlib.suppress(OSError):
                    yield other.result()
            folder = wording.printable(plan.request.out)
            raise GradCamError("out-full", path=folder, reason=reason) from error


def failed(path: str, reason: str) -> Entry:
    """What the manifest says of a photograph that could not be explained."""
    return {"path": path, "status": "failed", "reason": reason}


def _explained(
    plan: Plan, paths: Sequence[str], reading: Sequence[Future[Photo]]
) -> list[tuple[str, Callable[[], Entry]]]:
    """For each path what a writer has to do: write its files, or say why it has none."""
    photos: dict[str, Photo] = {}
    tasks: dict[str, Callable[[], Entry]] = {}
    for path, future in zip(paths, reading, strict=True):
        try:
            photos[path] = future.result()
        except ImageError as error:
            tasks[path] = _saying(path, error)
    if photos:
        tasks |= _tasks(plan, list(photos.values()))
    return [(path, tasks[path]) for path in paths]


def _tasks(plan: Plan, photos: list[Photo]) -> dict[str, Callable[[], Entry]]:
    """Explain a batch; where that fails, each photograph by itself, so that one spoils no other."""
    try:
        answers = _answers(plan, photos)
    except (GradCamError, tf.errors.OpError) as error:
        if len(photos) == 1:
            return {photos[0].path: _saying(photos[0].path, error)}
        return {path: task for photo in photos for path, task in _tasks(plan, [photo]).items()}
    return {photo.path: _writing(plan, photo, answers, row) for row, photo in enumerate(photos)}


def _answers(plan: Plan, photos: Sequence[Photo]) -> list[Explanation]:
    pixels = [photo.pixels for photo in photos]
    if plan.fixed_batch:  # filled up with what is thrown away
        pixels += pixels[-1:] * (plan.batch_size - len(pixels))
    batch = plan.batch(pixels)
    return plan.explainer.each(batch, plan.aims)


def _writing(
    plan: Plan, photo: Photo, answers: Sequence[Explanation], row: int
) -> Callable[[], Entry]:
    def task() -> Entry:
        maps = [found for answer in answers for found in results.maps_of(answer, row)]
        top = results.top_classes(answers[0].outputs, row, plan)
        try:
            return results.write(photo, maps, top, plan)
        except GradCamError as error:
            return failed(photo.path, _reason(error))

    return task


def _saying(path: str, error: Exception) -> Callable[[], Entry]:
    entry = failed(path, _reason(error))
    return lambda: entry


def _reason(error: Exception) -> str:
    """A sentence about this photograph, which the reader sees next to its name."""
    if isinstance(error, GradCamError) and error.code == "image-unreadable":
        reason = error.facts["reason"]
        return f"{reason[:1].upper()}{reason[1:]}. {error.facts['advice']}".strip()
    if isinstance(error, GradCamError):  # it ran alone: the only one of its batch
        return catalogue.said(error.code, Voice.TERMINAL, **error.facts | {"images": "this image"})
    return str(error).splitlines()[0]
