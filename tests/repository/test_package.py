"""The wheel, and what the packages say on a system they don't work with."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command, **options):
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, **options
    )


def test_the_wheel_holds_both_packages_and_works_where_it_is_installed(tmp_path):
    built = run(sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT))
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    for package in ("keras_stn", "gradcam"):
        files = {
            str(path.relative_to(ROOT))
            for path in (ROOT / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert files <= inside
        assert f"{package}/py.typed" in inside
    assert not [name for name in inside if name.startswith(("tests", "examples", "benchmarks"))]

    # Beside the packages it needs, in an environment that doesn't see this checkout.
    venv.create(tmp_path / "env", with_pip=False)
    site = next((tmp_path / "env").glob("lib/python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site)
    needed = [p for p in sys.path if p.endswith("site-packages")]
    (site / "needed.pth").write_text("\n".join(needed))
    used = run(
        str(tmp_path / "env" / "bin" / "python"),
        "-I",
        "-c",
        "import numpy, keras_stn, gradcam\n"
        "print(keras_stn.__file__, gradcam.__file__)\n"
        "print(keras_stn.SpatialTransformer(output_size=3)(numpy.ones((1, 8, 8, 1))).shape)",
        cwd=tmp_path,
    )
    assert used.returncode == 0, used.stderr
    assert used.stdout.count(str(site)) == 2
    assert "(1, 3, 3, 1)" in used.stdout


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("KERAS_BACKEND", "jax", "Set KERAS_BACKEND=tensorflow before Keras is imported."),
        ("KERAS_BACKEND", "torch", "Set KERAS_BACKEND=tensorflow before Keras is imported."),
        ("TF_USE_LEGACY_KERAS", "1", "Remove TF_USE_LEGACY_KERAS from the environment"),
    ],
)
def test_another_backend_is_refused_in_one_error(variable, value, words):
    environment = {**os.environ, variable: value}
    script = "import keras_stn"
    done = run(sys.executable, "-c", script, env=environment, cwd=ROOT)
    assert done.returncode == 1
    assert words in " ".join(done.stderr.split())
    assert "During handling of the above exception" not in done.stderr


def test_the_versions_agree():
    import gradcam  # noqa: PLC0415
    import keras_stn  # noqa: PLC0415

    metadata = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert f"version = {keras_stn.__version__}\n" in metadata
    assert gradcam.__version__ == keras_stn.__version__
