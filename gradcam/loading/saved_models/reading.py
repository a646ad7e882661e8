"""Reads the program of a SavedModel from its directory, without running any of it."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from gradcam.errors import ModelError
from gradcam.files import trouble
from gradcam.messages.wording import listing

PROGRAM, TEXT_PROGRAM, SPLIT_PROGRAM = "saved_model.pb", "saved_model.pbtxt", "saved_model.cpb"
_LFS = b"version https://git-lfs.github.com/spec/"


def read(folder: Path) -> meta_graph_pb2.MetaGraphDef:
    """The part of a SavedModel's program that serves it.

    Raises:
        ModelError: says what lies in the directory instead.
    """
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise _unreadable(folder, error) from error
    for name in {PROGRAM, TEXT_PROGRAM} & set(names):
        reason = trouble(folder / name)
        if reason:
            raise ModelError("saved-model-unreadable", path=str(folder / name), reason=reason)
    if PROGRAM in names:
        saved_model = _parsed(folder / PROGRAM)
    elif TEXT_PROGRAM in names:
        saved_model = _parsed_text(folder / TEXT_PROGRAM)
    elif SPLIT_PROGRAM in names:
        raise ModelError("saved-model-split", path=str(folder))
    else:
        found = f"it holds {listing(names, limit=8)}" if names else "it is empty"
        raise ModelError("saved-model-missing", path=str(folder), found=found)
    return _serving(folder, saved_model)


def _parsed(file: Path) -> Any:
    try:
        with file.open("rb") as stream:
            size = file.stat().st_size
            if size == 0:
                raise ModelError(
                    "saved-model-damaged", path=str(file), reason="it is empty", size=0
                )
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                _check_start(file, content[:200], size)
                return _message(file, content, size)
    except OSError as error:
        raise _unreadable(file, error) from error


def _message(file: Path, content: mmap.mmap, size: int) -> Any:
    saved_model = saved_model_pb2.SavedModel()
    view = memoryview(content)
    try:
        saved_model.ParseFromString(view)
    except DecodeError as error:
        reason = "it ends, or changes, in the middle of the program"
        raise ModelError("saved-model-damaged", path=str(file), reason=reason, size=size) from error
    finally:
        view.release()
    return saved_model


def _check_start(file: Path, start: bytes, size: int) -> None:
    if start.startswith(_LFS):
        raise ModelError("saved-model-lfs", path=str(file), size=size)


def _parsed_text(file: Path) -> Any:
    try:
        return text_format.Parse(file.read_text(encoding="utf-8"), saved_model_pb2.SavedModel())
    except OSError as error:
        raise _unreadable(file, error) from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        size = file.stat().st_size
        reason = "its text is not that of a SavedModel"
        raise ModelError("saved-model-damaged", path=str(file), reason=reason, size=size) from error


def _serving(folder: Path, saved_model: Any) -> meta_graph_pb2.MetaGraphDef:
    """The program tagged for serving; a module of TF-Hub has one without tags."""
    graphs = [graph for graph in saved_model.meta_graphs if graph.ByteSize()]
    if not graphs:
        size = (folder / PROGRAM).stat().st_size if (folder / PROGRAM).exists() else 0
        raise ModelError(
            "saved-model-damaged", path=str(folder), reason="it holds no program", size=size
        )

    def rank(graph: meta_graph_pb2.MetaGraphDef) -> tuple[bool, bool]:
        tags = set(graph.meta_info_def.tags)
        return "serve" not in tags, "train" in tags

    return min(graphs, key=rank)


def _unreadable(path: Path, error: OSError) -> ModelError:
    reason = error.strerror or type(error).__name__
    return ModelError("saved-model-unreadable", path=str(path), reason=reason.lower())
