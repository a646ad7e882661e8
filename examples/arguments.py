"""Numbers and folders on the command line of the examples."""

import argparse
import os

MOST_SEEDS = 2**32
"""NumPy's and Keras' limit."""


def count(text):
    """A whole number from 1.

    >>> count("3")
    3
    """
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1. Received: {text}.")
    return number


def seed(text):
    """A whole number from 0 that all random generators take."""
    number = int(text)
    if not 0 <= number < MOST_SEEDS:
        raise argparse.ArgumentTypeError(
            f"must be from 0 to {MOST_SEEDS - 1}, and a whole number. Received: {text}."
        )
    return number


def make_folder(path):
    """Makes a folder for what a training will write, so that it isn't found out afterwards that it can't."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror
    else:
        if os.access(path, os.W_OK):
            return
        reason = "Permission denied"
    raise SystemExit(f"The folder {path} can't be written to: {reason}. Choose another --out.")
