"""What the documents and docstrings show has been run."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import gradcam
import keras_stn
from keras_stn.transforms import FAMILIES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODULES = [
    module.name
    for package in (keras_stn, gradcam)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
    if not module.name.endswith("__main__")
]
NAMES = {"keras": keras, "keras_stn": keras_stn, "gradcam": gradcam, "np": np, "tf": tf}


@pytest.mark.parametrize("name", ["keras_stn", "gradcam", *MODULES])
def test_docstring_examples_run(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs=NAMES, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


@pytest.mark.parametrize("name", keras_stn.__all__)
def test_public_names_have_a_docstring_with_an_example(name):
    public = getattr(keras_stn, name)
    if name != "transforms":
        assert ">>>" in public.__doc__


def python_blocks(text):
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.parametrize("document", ["README.md", "docs/keras_stn.md", "docs/seeing.md"])
def test_examples_in_documents_run(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    text = (ROOT / document).read_text(encoding="utf-8")
    # The README's section on gradcam is run by test_docs_gradcam, each block by itself.
    blocks = python_blocks(re.sub(r"\n## gradcam\n.*?(?=\n## |\Z)", "", text, flags=re.DOTALL))
    assert blocks
    for block in blocks:
        exec(compile(block, document, "exec"), names)


def test_the_readme_has_every_family_with_its_number_of_parameters():
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", README, flags=re.MULTILINE))
    for name in FAMILIES:
        params = keras_stn.transforms.get(name).num_params
        assert rows[name].strip() == ("2K" if name == "tps" else str(params))


def test_links_inside_the_repository_lead_somewhere():
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document.name}: {target}"
