"""Who may import whom, as the design says."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("keras_stn", "gradcam")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
LEAVES = {
    "keras_stn": {"plots", "callbacks"},
    "gradcam": {"doctor", "callbacks", "command", "__main__"},
}


def imports(path, only_at_start=False):
    """The modules that a file imports; a name imported from a package counts as its module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if only_at_start else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_modules(name):
    return {found for found in imports(MODULES[name]) if found in MODULES}


def top(name):
    return name.split(".")[0]


@pytest.mark.parametrize("name", MODULES)
def test_packages_do_not_import_each_other(name):
    others = set(PACKAGES) - {top(name)}
    assert not {found for found in imports(MODULES[name]) if top(found) in others}


@pytest.mark.parametrize("name", MODULES)
def test_cv2_has_one_owner_in_each_package(name):
    if name in ("gradcam.pictures", "keras_stn.plots.drawing"):
        return
    assert "cv2" not in {top(found) for found in imports(MODULES[name])}


PRIVATE_API = {"gradcam.trace.private_keras", "gradcam.trace.private_tensorflow"}
# argparse offers no other way to hear of an option that doesn't exist, and to name a group's type.
OTHER_PRIVATE_NAMES = {"_actions", "_ArgumentGroup"}


@pytest.mark.parametrize("name", [n for n in MODULES if top(n) == "gradcam"])
def test_private_api_has_one_file_for_each_library(name):
    text = MODULES[name].read_text(encoding="utf-8")
    if name in PRIVATE_API:
        return
    assert not re.findall(r"keras\.src|tensorflow\.python", text)
    nodes = list(ast.walk(ast.parse(text)))
    of_others = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        and re.match("_[^_]", node.attr)
        and ast.unparse(node.value) not in {"self", "cls"}
    }
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef)} | {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    words = {node.value for node in nodes if isinstance(node, ast.Constant)}
    assert not of_others - own - OTHER_PRIVATE_NAMES
    assert not words & private_names()  # as in getattr(layer, "_layers")


@functools.cache
def private_names():
    """The private attributes that the two files use, and the words in which they name some."""
    found = set()
    for name in PRIVATE_API:
        for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
            word = getattr(node, "attr", getattr(node, "value", None))
            if isinstance(word, str) and re.fullmatch(r"_[a-z]\w*", word):
                found.add(word)
    return found


@pytest.mark.parametrize("name", MODULES)
def test_the_core_imports_no_leaf(name):
    package, _, module = name.partition(".")
    leaves = LEAVES[package]
    if module.split(".")[0] in leaves:
        return
    found = {m.split(".")[1] for m in imported_modules(name) if "." in m}
    assert not found & leaves


def test_imports_run_in_no_circle():
    done, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in done:
            return
        path.append(name)
        for found in sorted(imported_modules(name) - {name}):
            # A submodule names its package to reach a sibling, which the package's own imports allow.
            if found != top(name) and not found.endswith("__init__"):
                visit(found)
        path.pop()
        done.add(name)

    for name in MODULES:
        if not name.endswith("__init__"):
            visit(name)


def calls(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            yield node.attr


def test_gather_and_scatter_have_one_owner():
    movers = {"gather", "gather_nd", "unsorted_segment_sum", "tensor_scatter_nd_add", "scatter_nd"}
    owners = {
        name
        for name, path in MODULES.items()
        if top(name) == "keras_stn" and movers & set(calls(path))
    }
    # The search for an inverse picks its start from a table, which is no sampling.
    assert owners == {"keras_stn.kernels", "keras_stn.inverse"}


def test_only_coordinates_knows_how_corners_are_aligned():
    deciding = set()
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.If, ast.IfExp)) and "align_corners" in ast.unparse(node.test):
                deciding.add(name)
    # gradcam may not import the owner, and follows any layer with the transformer's interface.
    assert deciding == {"keras_stn.coordinates", "gradcam.cam.warps"}


@pytest.mark.parametrize("name", MODULES)
def test_files_can_be_read_in_one_sitting(name):
    text = MODULES[name].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name


@pytest.mark.parametrize("name", MODULES)
def test_user_input_is_not_asserted_and_errors_are_not_swallowed(name):
    allowed = {"gradcam.doctor.careful", "gradcam.command.main"}
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.Assert), f"{name}:{node.lineno}"
        if isinstance(node, ast.ExceptHandler) and name not in allowed:
            caught = ast.unparse(node.type) if node.type else "everything"
            assert caught not in ("everything", "Exception", "BaseException"), (
                f"{name}:{node.lineno}"
            )
