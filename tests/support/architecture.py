"""The architecture as functions of a tree of files: each returns what breaks it, one text a place."""

from __future__ import annotations

import ast
import functools
import re
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("keras_stn", "gradcam")
# From left to right: each imports only what stands before it, and nothing beside it.
FLOORS = (
    ("messages",),
    ("errors",),
    ("environment", "pictures", "files"),
    ("trace",),
    ("targets", "loading"),
    ("cam",),
    ("evaluation",),
    ("doctor", "callbacks", "ray", "command"),
)
FLOOR = {wing: number for number, wings in enumerate(FLOORS) for wing in wings}
LEAVES = {"keras_stn": {"plots", "callbacks"}, "gradcam": set(FLOORS[-1])}
TOP_FILES = {"__init__", "__main__", "errors", "environment", "pictures", "files", "ray"}
PUBLIC_FUNCTIONS = {
    *("explain", "compare", "tap", "layers", "evaluate", "diagnose", "load_model", "read_images")
}
PICTURES = {"gradcam.pictures", "keras_stn.plots.drawing"}
CATCHING_ALL = {"gradcam.doctor.user_code", "gradcam.command.main"}
PRIVATE_API = ("gradcam.trace.private_keras", "gradcam.trace.private_tensorflow")
# os._exit ends a process; argparse has no public names for options that do not exist and for groups;
# _replace is a method of every NamedTuple.
OTHER_PRIVATE_NAMES = {"_exit", "_actions", "_ArgumentGroup", "_replace"}
MOST_FLOORS, LONGEST_FILE, LONGEST_FUNCTION = 10, 400, 60


@dataclass(frozen=True)
class Module:
    """One file: its name without `.__init__`, where a package's face is meant."""

    name: str
    path: Path
    text: str

    @property
    def nodes(self) -> tuple[ast.AST, ...]:
        return _nodes(self.text)

    @property
    def package(self) -> str:
        return self.name.split(".")[0]

    @property
    def wing(self) -> str:
        """The part of the package that it belongs to: the second word of its name."""
        return self.name.split(".")[1] if "." in self.name else "__init__"

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


# By the text: the same for all trees that hold the file.
@functools.cache
def _nodes(text: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(text)))


class Tree:
    """The modules of both packages below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.modules = {}
        for package in PACKAGES:
            for path in sorted((root / package).rglob("*.py")):
                parts = path.relative_to(root).with_suffix("").parts
                name = ".".join(parts).removesuffix(".__init__")
                self.modules[name] = Module(name, path, path.read_text(encoding="utf-8"))

    def of(self, package: str) -> list[Module]:
        return [module for module in self.modules.values() if module.package == package]

    def imports(self, module: Module) -> set[str]:
        """The modules of the tree that one imports. A name of a package's face means the face."""
        found = set()
        for name, of_what in named(module.text):
            inner = f"{name}.{of_what}" if of_what else name
            if inner in self.modules:
                found.add(inner)
            elif name in self.modules:
                found.add(name)
        return found - {module.name}


@functools.cache
def named(text: str) -> tuple[tuple[str, str], ...]:
    """What a file imports, wherever in it and however: modules, and names of them."""
    found: list[tuple[str, str]] = []
    for node in _nodes(text):
        match node:
            case ast.Import(names=names):
                found += [(alias.name, "") for alias in names]
            case ast.ImportFrom(module=name, names=names):
                found += [(name or "", alias.name) for alias in names]
            case ast.Call(args=[ast.Constant(value=str(name)), *_]) if _imports_late(node.func):
                found.append((name, ""))
    return tuple(found)


def _imports_late(function: ast.expr) -> bool:
    return ast.unparse(function).rpartition(".")[2] == "import_module"


def relative_imports(tree: Tree) -> list[str]:
    return [
        f"{module.name}:{node.lineno}"
        for module in tree.modules.values()
        for node in module.nodes
        if isinstance(node, ast.ImportFrom) and node.level
    ]


def packages_that_import_each_other(tree: Tree) -> list[str]:
    """But `gradcam.loading` imports `keras_stn` by name, where a file holds one of its layers."""
    wrong = []
    for module in tree.modules.values():
        others = set(PACKAGES) - {module.package}
        by_name = {
            ast.unparse(node.args[0])
            for node in module.nodes
            if isinstance(node, ast.Call) and node.args and _imports_late(node.func)
        }
        for name, _ in named(module.text):
            is_late = f"'{name}'" in by_name and module.name.startswith("gradcam.loading.")
            if name.split(".")[0] in others and not is_late:
                wrong.append(f"{module.name} imports {name}")
    return wrong


def opencv_elsewhere(tree: Tree) -> list[str]:
    return [
        module.name
        for module in tree.modules.values()
        if module.name not in PICTURES
        and any(name.split(".")[0] == "cv2" for name, _ in named(module.text))
    ]


def private_api_elsewhere(tree: Tree) -> list[str]:
    """What is private of Keras and TensorFlow has one file in gradcam for each of the two."""
    known = _private_words(tree)
    found = []
    for module in tree.of("gradcam"):
        if module.name in PRIVATE_API:
            continue
        used = set(re.findall(r"keras\.src|tensorflow\.python", module.text))
        own = set()
        for node in module.nodes:
            match node:
                case ast.FunctionDef(name=name):
                    own.add(name)
                case ast.Attribute(attr=name, ctx=ast.Store()):
                    own.add(name)
                case ast.Attribute(attr=name, value=value) if re.match("_[^_]", name):
                    used |= {name} if ast.unparse(value) not in {"self", "cls"} else set()
                case ast.Constant(value=str(word)) if word in known:
                    used.add(repr(word))  # as in getattr(layer, "_layers")
        found += [f"{module.name}: {name}" for name in sorted(used - own - OTHER_PRIVATE_NAMES)]
    return found


def _private_words(tree: Tree) -> set[str]:
    """The private attributes that the two files use, and the words in which they name some."""
    nodes = [node for name in PRIVATE_API for node in tree.modules[name].nodes]
    words = {getattr(node, "attr", getattr(node, "value", None)) for node in nodes}
    return {w for w in words if isinstance(w, str) and re.fullmatch(r"_[a-z]\w*", w)}


def imports_to_the_right(tree: Tree) -> list[str]:
    """Of gradcam's wings: what stands further right, or beside, is not imported."""
    wrong = []
    for module in tree.of("gradcam"):
        for found in sorted(tree.imports(module)):
            other = tree.modules[found]
            if other.package != "gradcam" or module.wing in {other.wing, "__main__"}:
                continue
            if not _may_import(module.wing, other.wing):
                wrong.append(f"{module.name} imports {found}")
    return wrong


def _may_import(wing: str, other: str) -> bool:
    if wing == "__init__":  # the face of all
        return True
    if other == "__init__":
        return wing in LEAVES["gradcam"]
    if wing not in FLOOR or other not in FLOOR:
        return False
    is_leaf_of_the_command = wing == "command" and other in LEAVES["gradcam"]
    return FLOOR[other] < FLOOR[wing] or is_leaf_of_the_command


def leaves_in_the_core(tree: Tree) -> list[str]:
    """Of keras_stn, whose core imports neither its plots nor its callbacks."""
    leaves = LEAVES["keras_stn"]
    return [
        f"{module.name} imports {found}"
        for module in tree.of("keras_stn")
        for found in sorted(tree.imports(module))
        if module.wing not in leaves and tree.modules[found].wing in leaves
    ]


def circles(tree: Tree) -> list[str]:
    done: set[str] = set()
    path: list[str] = []
    found: list[str] = []

    def visit(name: str) -> None:
        if name in path:
            found.append(" -> ".join([*path[path.index(name) :], name]))
            return
        if name in done:
            return
        path.append(name)
        for other in sorted(tree.imports(tree.modules[name])):
            visit(other)
        path.pop()
        done.add(name)

    for name in tree.modules:
        visit(name)
    return found


def too_many_floors(tree: Tree) -> list[str]:
    """The longest chain of gradcam's wings that import each other."""
    below: dict[str, set[str]] = {}
    for module in tree.of("gradcam"):
        wings = {tree.modules[found].wing for found in tree.imports(module)}
        below.setdefault(module.wing, set()).update(wings - {module.wing, "__init__"})

    def chain(wing: str, seen: tuple[str, ...] = ()) -> tuple[str, ...]:
        chains = [chain(w, (*seen, wing)) for w in below.get(wing, ()) if w not in (*seen, wing)]
        return (wing, *max(chains, key=len, default=()))

    longest = max((chain(wing) for wing in below if wing != "__init__"), key=len, default=())
    return [" <- ".join(reversed(longest))] if len(longest) > MOST_FLOORS else []


def strangers_at_the_top(tree: Tree) -> list[str]:
    """Files and folders at the top of gradcam that the design doesn't name."""
    top = {path.name for path in (tree.root / "gradcam").iterdir()} - {"__pycache__", "py.typed"}
    known = {f"{name}.py" for name in TOP_FILES} | (set(FLOOR) - TOP_FILES)
    return sorted(top - known)


def folders_named_as_functions(tree: Tree) -> list[str]:
    return sorted(
        path.name
        for path in (tree.root / "gradcam").iterdir()
        if path.is_dir() and path.name in PUBLIC_FUNCTIONS
    )


def movers_of_pixels(tree: Tree) -> list[str]:
    """Gather and scatter have one owner; a search for an inverse picks its start from a table."""
    movers = {"gather", "gather_nd", "unsorted_segment_sum", "tensor_scatter_nd_add", "scatter_nd"}
    owners = {
        module.name
        for module in tree.of("keras_stn")
        for node in module.nodes
        if isinstance(node, ast.Attribute) and node.attr in movers
    }
    return sorted(owners ^ {"keras_stn.kernels", "keras_stn.inverse"})


def deciders_of_corners(tree: Tree) -> list[str]:
    """Only coordinates know how corners are aligned.

    gradcam may not import them, and follows any layer with the transformer's interface.
    """
    deciding = {
        module.name
        for module in tree.modules.values()
        if "align_corners" in module.text
        for node in module.nodes
        if isinstance(node, ast.If | ast.IfExp) and "align_corners" in ast.unparse(node.test)
    }
    return sorted(deciding ^ {"keras_stn.coordinates", "gradcam.cam.warps"})


def too_long(tree: Tree) -> list[str]:
    """Files and functions that can't be read in one sitting."""
    found = []
    for module in tree.modules.values():
        if len(module.lines) > LONGEST_FILE:
            found.append(module.name)
        for node in module.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno
                found += [f"{module.name}.{node.name}"] if length >= LONGEST_FUNCTION else []
    return found


def assertions(tree: Tree) -> list[str]:
    return [
        f"{module.name}:{node.lineno}"
        for module in tree.modules.values()
        for node in module.nodes
        if isinstance(node, ast.Assert)
    ]


def swallowed_errors(tree: Tree) -> list[str]:
    """`except Exception` outside of the two places that the design names."""
    broad = {"Exception", "BaseException"}
    found = []
    for module in tree.modules.values():
        for node in module.nodes:
            if not isinstance(node, ast.ExceptHandler) or module.name in CATCHING_ALL:
                continue
            kinds = [] if node.type is None else ast.walk(node.type)
            caught = {kind.id for kind in kinds if isinstance(kind, ast.Name)}
            if node.type is None or caught & broad:
                found.append(f"{module.name}:{node.lineno}")
    return found


CHECKS = {
    check.__name__: check
    for check in (
        relative_imports,
        packages_that_import_each_other,
        opencv_elsewhere,
        private_api_elsewhere,
        imports_to_the_right,
        leaves_in_the_core,
        circles,
        too_many_floors,
        strangers_at_the_top,
        folders_named_as_functions,
        movers_of_pixels,
        deciders_of_corners,
        too_long,
        assertions,
        swallowed_errors,
    )
}
