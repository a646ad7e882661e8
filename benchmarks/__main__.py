"""Runs all benchmarks, or those named: `python -m benchmarks [--markdown] [NAME ...]`."""

import argparse
import importlib
import inspect
import logging
import pkgutil
from collections.abc import Callable

import benchmarks


def mains() -> dict[str, Callable[..., None]]:
    """The `main` of every module of this folder that has one, by the module's name."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    modules = {
        name: importlib.import_module(f"benchmarks.{name}") for name in names if name != "__main__"
    }
    return {name: module.main for name, module in modules.items() if hasattr(module, "main")}


def main() -> None:
    """Runs the benchmarks that the command line names."""
    known = mains()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=benchmarks.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument("--markdown", action="store_true", help="print tables for a README")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(known))
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(known)}")
    for name in arguments.names or known:
        takes_markdown = "markdown" in inspect.signature(known[name]).parameters
        known[name](**({"markdown": arguments.markdown} if takes_markdown else {}))


if __name__ == "__main__":
    # TensorFlow warns of functions that are traced often, which here is the purpose.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    main()
