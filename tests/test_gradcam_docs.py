"""The examples in docstrings run, and the architecture is what the design says."""

import ast
import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import gradcam

FOLDER = Path(gradcam.__file__).parent
MODULES = sorted(module.name for module in pkgutil.iter_modules(gradcam.__path__))


@pytest.mark.parametrize("name", ["", *MODULES])
def test_the_examples_run(name):
    module = importlib.import_module(f"gradcam.{name}" if name else "gradcam")
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_files_are_short_and_import_what_they_may(path):
    roots = {name.partition(".")[0] for name in imports(path)}
    assert "keras_stn" not in roots
    assert "cv2" not in roots or path.name == "images.py"
    text = path.read_text()
    assert len(text.splitlines()) <= 320
    assert "except Exception" not in text
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name
        assert not isinstance(node, ast.Assert)


def test_public_names_have_docstrings():
    for name in gradcam.__all__:
        value = getattr(gradcam, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), name
