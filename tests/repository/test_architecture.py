"""The files are built as the design says, and each check of that sees what breaks it."""

import os
import shutil
from pathlib import Path

import pytest

from tests.support import architecture
from tests.support.architecture import CHECKS, Tree

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tree():
    return Tree(ROOT)


@pytest.mark.parametrize("name", CHECKS)
def test_the_files_are_built_as_the_design_says(tree, name):
    assert CHECKS[name](tree) == []


@pytest.fixture
def copy(tmp_path):
    """Both packages as links: what a test writes there replaces a link."""
    for package in architecture.PACKAGES:
        shutil.copytree(
            ROOT / package,
            tmp_path / package,
            copy_function=os.symlink,
            ignore=shutil.ignore_patterns("__pycache__", "assets", "native"),
        )
    return tmp_path


def plant(folder, place, text):
    """Write a file, or add to one that is there."""
    path = folder / place
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{before}\n{text}\n", encoding="utf-8")


LATE = 'import importlib\nstn = importlib.import_module("keras_stn")'


@pytest.mark.parametrize(
    ("name", "place", "text", "found"),
    [
        ("relative_imports", "gradcam/cam/blank.py", "from . import methods", "gradcam.cam.blank:"),
        *(
            ("packages_that_import_each_other", place, text, f"imports {other}")
            for place, text, other in [
                ("gradcam/trace/graph.py", "import keras_stn", "keras_stn"),
                ("gradcam/cam/warps.py", "from keras_stn.sampler import sample", "keras_stn"),
                ("gradcam/cam/warps.py", LATE, "keras_stn"),
                ("gradcam/loading/models.py", "import keras_stn", "keras_stn"),
                ("keras_stn/layers.py", "def f():\n    from gradcam import explain", "gradcam"),
            ]
        ),
        ("opencv_elsewhere", "gradcam/files.py", "def f():\n    import cv2", "gradcam.files"),
        *(
            ("private_api_elsewhere", "gradcam/cam/blank.py", text, f"gradcam.cam.blank: {word}")
            for text, word in [
                ("from keras.src import layers", "keras.src"),
                ("import tensorflow.python.eager", "tensorflow.python"),
                ("model._flatten_layers()", "_flatten_layers"),
                ("self.layer._nodes_by_depth", "_nodes_by_depth"),
                ('getattr(layer, "_tracker", None)', "'_tracker'"),
            ]
        ),
        *(
            ("imports_to_the_right", place, text, f"imports {other}")
            for place, text, other in [
                # By the package's face, which holds names of all its modules.
                ("gradcam/cam/options.py", "from gradcam.doctor import diagnose", "gradcam.doctor"),
                ("gradcam/cam/options.py", "from gradcam import explain", "gradcam"),
                ("gradcam/cam/options.py", "import gradcam.doctor", "gradcam.doctor"),
                ("gradcam/errors.py", "from gradcam import files", "gradcam.files"),
                ("gradcam/messages/words.py", "import gradcam.errors", "gradcam.errors"),
                ("gradcam/trace/paths.py", "from gradcam import targets", "gradcam.targets"),
                (
                    "gradcam/targets/scoring.py",
                    "from gradcam.cam import warps",
                    "gradcam.cam.warps",
                ),
                # What stands beside it.
                ("gradcam/targets/scoring.py", "import gradcam.loading", "gradcam.loading"),
                ("gradcam/files.py", "from gradcam import pictures", "gradcam.pictures"),
                ("gradcam/doctor/walk.py", "import gradcam.callbacks", "gradcam.callbacks"),
                (
                    "gradcam/callbacks/events.py",
                    "import gradcam.command.main",
                    "gradcam.command.main",
                ),
                ("gradcam/evaluation/run.py", "from gradcam.doctor import walk", "gradcam.doctor"),
                ("gradcam/cam/options.py", "import gradcam.__main__", "gradcam.__main__"),
                (
                    "gradcam/trace/x.py",
                    'import_module("gradcam.cam.methods")',
                    "gradcam.cam.methods",
                ),
            ]
        ),
        ("leaves_in_the_core", "keras_stn/layers.py", "from keras_stn import plots", "plots"),
        (
            "circles",
            "gradcam/trace/graph.py",
            "from gradcam.trace import paths",
            "-> gradcam.trace",
        ),
        ("circles", "gradcam/trace/graph.py", "from gradcam.trace.paths import resolve", "paths"),
        ("strangers_at_the_top", "gradcam/helpers.py", "", "helpers.py"),
        ("strangers_at_the_top", "gradcam/utils/misc.py", "", "utils"),
        ("folders_named_as_functions", "gradcam/explain/__init__.py", "", "explain"),
        ("movers_of_pixels", "keras_stn/layers.py", "tf.gather(x, y)", "keras_stn.layers"),
        ("deciders_of_corners", "gradcam/cam/blank.py", "y = 1 if align_corners else 2", "blank"),
        ("too_long", "gradcam/cam/blank.py", "x = 1\n" * 400, "gradcam.cam.blank"),
        ("too_long", "gradcam/cam/blank.py", "def f():\n" + "    x = 1\n" * 60, "blank.f"),
        ("assertions", "keras_stn/checks.py", "def f(x):\n    assert x", "keras_stn.checks:"),
        *(
            ("swallowed_errors", "gradcam/files.py", f"try:\n    x = 1\n{e}\n    x = 2", "files:")
            for e in ("except:", "except Exception:", "except (ValueError, BaseException) as e:")
        ),
    ],
)
def test_what_breaks_the_design_is_seen(copy, name, place, text, found):
    plant(copy, place, text)
    wrong = CHECKS[name](Tree(copy))
    assert wrong
    assert found in wrong[0]


def test_the_longest_chain_of_wings_is_counted(copy):
    # Two wings of one floor that import each other in a row make the house higher.
    for wing, below in [("ray", "doctor"), ("callbacks", "ray"), ("doctor", "evaluation")]:
        place = "ray.py" if wing == "ray" else f"{wing}/planted.py"
        plant(copy, f"gradcam/{place}", f"import gradcam.{below}")
    plant(copy, "gradcam/evaluation/__init__.py", "import gradcam.cam.methods")
    plant(copy, "gradcam/command/planted.py", "import gradcam.callbacks")
    (chain,) = CHECKS["too_many_floors"](Tree(copy))
    assert chain.startswith("messages <- errors <- ")
    assert chain.endswith("evaluation <- doctor <- ray <- callbacks <- command <- __main__")


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("gradcam/command/planted.py", "from gradcam.doctor import diagnose\nimport gradcam"),
        ("gradcam/command/planted.py", "import gradcam.ray\nimport gradcam.callbacks"),
        ("gradcam/loading/planted.py", LATE),
        ("gradcam/ray.py", "from gradcam.cam import explainer"),
        ("gradcam/evaluation/planted.py", "from gradcam.cam.explainer import Explainer"),
    ],
)
def test_what_the_design_allows_is_allowed(copy, place, text):
    plant(copy, place, text)
    planted = Tree(copy)
    assert not any(check(planted) for check in CHECKS.values())
