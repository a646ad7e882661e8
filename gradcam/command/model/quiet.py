"""Imports TensorFlow without what it says about itself, which is nothing for the command's reader."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from typing import TYPE_CHECKING

from gradcam import environment

if TYPE_CHECKING:
    from collections.abc import Iterator


def import_tensorflow(debug: bool = False) -> None:
    """Import TensorFlow and Keras, or raise `ModelError` where they can't be used.

    Args:
        debug: leave every message of theirs on the screen.
    """
    if debug:
        environment.require_tensorflow()
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # also where somebody's shell asks for less silence
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    warnings.simplefilter("ignore")
    logging.getLogger("absl").setLevel(logging.ERROR)
    with _native_messages_held():
        environment.require_tensorflow()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


@contextlib.contextmanager
def _native_messages_held() -> Iterator[None]:
    """Keep what libraries write past Python to the standard error; show it if they fail."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            if failed:
                held.seek(0)
                os.write(2, held.read())
