"""What the README says of gradcam."""

import inspect
import shutil

import keras
import numpy as np

import gradcam
from gradcam.cam.methods import METHODS
from tests.repository.test_docs import ROOT, python_blocks


def test_public_names_have_docstrings():
    for name in gradcam.__all__:
        value = getattr(gradcam, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), name


README = (ROOT / "README.md").read_text(encoding="utf-8")


def readme_section():
    return README.split("\n## gradcam", maxsplit=1)[1].split("\n## ", maxsplit=1)[0]


def test_the_examples_of_the_readme_run():
    blocks = python_blocks(readme_section())
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert names["explanation"].layer == names["tap"].layer == "mobilenetv2_1.00_224/out_relu"
    assert names["explanation"].heatmaps.shape == (2, 224, 224)
    assert names["activations"].shape == names["gradients"].shape == (2, 7, 7, 1280)


def test_the_page_on_taps_runs_and_draws_its_picture(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "gradcam" / "command" / "assets", tmp_path / "gradcam-demo")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = python_blocks((ROOT / "docs" / "taps.md").read_text(encoding="utf-8"))
    for block in blocks:
        exec(block, names)
    body = inspect.cleandoc(blocks[0].split("def what_matters")[1]).splitlines()[1:]
    assert len(body) <= 10
    drawn, shown = (
        keras.utils.img_to_array(keras.utils.load_img(path))
        for path in ("what_matters.png", ROOT / "docs" / "images" / "what_matters.png")
    )
    assert drawn.shape == shown.shape
    assert np.abs(drawn - shown).mean() < 1.0  # processors round differently


def test_the_readme_tells_of_every_method_and_every_error():
    section = readme_section()
    for method in METHODS.values():
        row = f"| `{method.name}` | {method.summary} | {method.use_when} | {method.paper} |"
        assert row in section
    for name in gradcam.__all__:
        if name.endswith("Error"):
            assert f"`{name}`" in section or f"`gradcam.{name}`" in section
