"""One run of `gradcam explain`, from the loaded model to the exit status."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from gradcam import __version__, files, pictures
from gradcam.command import terminal
from gradcam.command.model import models
from gradcam.command.run import manifest, pipeline, pixels, plan, summary
from gradcam.errors import GradCamError
from gradcam.messages import wording

if TYPE_CHECKING:
    from typing import TextIO

    from gradcam.command.run.manifest import Manifest
    from gradcam.command.run.plan import Plan
    from gradcam.command.run.request import Request

DONE, SOME_FAILED = 0, 3


def run(
    request: Request,
    model: Any,
    network: str | None,
    *,
    resume: bool,
    overwrite: bool,
    json_lines: TextIO | None,
    table: TextIO,
) -> int:
    """Explain every photograph of a request.

    Args:
        request: the checked options.
        model: the loaded model.
        network: the network of `keras.applications` that it is, if it is one.
        resume: leave what is done already as it is.
        overwrite: replace the results of a run with other settings.
        json_lines: where one line an image is printed, or None.
        table: where the table of the results is printed.

    Returns:
        The exit status.

    Raises:
        GradCamError: something doesn't fit; nothing has been written.
    """
    planned = plan.make(request, model, network)
    wrong = pixels.warning(planned)
    planned.warnings.extend([wrong] if wrong else [])
    for note in planned.notes:
        terminal.say(note)
    for warning in planned.warnings:
        terminal.say(f"Warning: {warning}")
    head = _head(planned, model)
    before = _before(request, head, overwrite=overwrite)
    done = {
        path
        for path in set(request.photos) & set(before)
        if resume and manifest.is_whole(before[path], request.out)
    }
    others = {path: entry for path, entry in before.items() if path not in request.photos}
    kept = others | {path: before[path] for path in done}
    record = manifest.Manifest(request.out, head, request.photos, kept)
    record.begin()
    if done:
        terminal.say(f"{len(done)} of {len(request.photos)} images were done before.")
    seconds = _work(planned, record, done, json_lines)
    return _finish(request, record, seconds, len(done), table)


def _head(planned: Plan, model: Any) -> dict[str, Any]:
    """What the manifest says before the images."""
    request = planned.request
    return {
        "schema": 1,
        "model": request.model,
        "sha256": models.sha256(request.model, model),
        "versions": {
            "keras-stn": __version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
        "settings": planned.settings,
        "warnings": planned.warnings,
    }


def _before(request: Request, head: dict[str, Any], *, overwrite: bool) -> dict[str, Any]:
    """What a manifest in the folder says of each image, by path; another run's is refused."""
    try:
        old = manifest.read(request.out)
    except GradCamError:
        if not overwrite:
            raise
        old = None
    if old is None:
        return {}
    if overwrite:
        manifest.remove_results(request.out, old)
        return {}
    manifest.check_settings(request.out, old, head)
    return {entry["path"]: entry for entry in old["images"]}


def _work(planned: Plan, record: Manifest, done: set[str], json_lines: TextIO | None) -> float:
    """Explain what is left, in how many seconds; whatever ends it, the manifest says what is there."""
    request = planned.request
    began = time.monotonic()
    finished = False
    try:
        _explain(planned, record, done, json_lines)
        record.close(complete=True)
        finished = True
    except KeyboardInterrupt:
        terminal.say("Stopped. What is done stays: go on with the same command and --resume.")
        raise
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _full(request, error) from error
    finally:
        if not finished:
            with contextlib.suppress(OSError):
                record.close(complete=False)
    return time.monotonic() - began


def _explain(planned: Plan, record: Manifest, done: set[str], json_lines: TextIO | None) -> None:
    paths = planned.request.photos
    todo = [b for b in pipeline.batches(paths, planned.batch_size) if not done.issuperset(b)]
    pictures.work_on_one_thread()  # the photographs are spread over threads already
    for entry in record.entries():
        if entry["path"] in done:
            _print(entry, json_lines)
    entries = pipeline.entries(planned, todo, files.stems(paths), done)
    with terminal.progress(len(paths) - len(done)) as step, contextlib.closing(entries):
        for entry in entries:
            record.add(entry)
            _print(entry, json_lines)
            step()


def _print(entry: dict[str, Any], json_lines: TextIO | None) -> None:
    if json_lines is not None:
        print(json.dumps(entry), file=json_lines, flush=True)


def _finish(
    request: Request, record: Manifest, seconds: float, done_before: int, table: TextIO
) -> int:
    """The report, the table, and the sentence that says where to look."""
    wanted = set(request.photos)
    entries = [entry for entry in record.entries() if entry["path"] in wanted]
    look_at = request.out / manifest.MANIFEST
    if request.report:
        from gradcam.command import report  # noqa: PLC0415

        try:
            look_at = report.write(request.out)
        except OSError as error:
            raise _full(request, error) from error
    summary.show(entries, table)
    failures = sum(entry["status"] == "failed" for entry in entries)
    count = len(entries) - done_before
    rate = f" ({terminal.rate(count, seconds)})" if count > 1 else ""
    said = f", {failures} failed" if failures else ""
    terminal.say(f"{_images(len(entries))} in {terminal.duration(seconds)}{rate}{said}.")
    terminal.say(f"Look at {look_at}", wrap=False)
    return SOME_FAILED if failures else DONE


def _images(count: int) -> str:
    return f"{count} image{'s' if count != 1 else ''}"


def _full(request: Request, error: OSError) -> GradCamError:
    reason = error.strerror or str(error)
    return GradCamError("out-full", path=wording.printable(request.out), reason=reason)
