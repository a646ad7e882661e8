"""What the README says of gradcam."""

import inspect
import re
from pathlib import Path

import gradcam
from gradcam.cam.methods import METHODS


def test_public_names_have_docstrings():
    for name in gradcam.__all__:
        value = getattr(gradcam, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), name


README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def readme_section():
    return README.split("\n## gradcam", maxsplit=1)[1].split("\n## ", maxsplit=1)[0]


def test_the_examples_of_the_readme_run():
    blocks = re.findall(r"```python\n(.*?)```", readme_section(), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        names: dict[str, object] = {}
        exec(block, names)
        assert names["explanation"].layer == "mobilenetv2_1.00_224/out_relu"
        assert names["explanation"].heatmaps.shape == (2, 224, 224)


def test_the_readme_tells_of_every_method_and_every_error():
    section = readme_section()
    for method in METHODS.values():
        row = f"| `{method.name}` | {method.summary} | {method.use_when} | {method.paper} |"
        assert row in section
    for name in gradcam.__all__:
        if name.endswith("Error"):
            assert f"`{name}`" in section or f"`gradcam.{name}`" in section
