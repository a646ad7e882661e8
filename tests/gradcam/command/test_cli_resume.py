"""Runs that are killed, stopped and begun again; folders that hold something already."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from gradcam import files
from gradcam.command.run import pipeline
from gradcam.command.run.manifest import Manifest
from tests.support.cli_models import ROOT, encoded, everything, gradcam, manifest, network, picture

COUNT = 12


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shelf")
    network().save(folder / "m.keras")
    (folder / "in").mkdir()
    for number in range(COUNT):
        (folder / "in" / f"{number:02}.jpg").write_bytes(encoded(picture(seed=number)))
    (folder / "in" / "05.jpg").write_text("no picture")
    return folder


@pytest.fixture(autouse=True)
def _inside(shelf, monkeypatch):
    monkeypatch.chdir(shelf)


def arguments(out, *more):
    given = ["in", "--model", "m.keras", "--out", out, "--batch-size", "4", "--save", "overlay,map"]
    return ["explain", *given, *more]


@pytest.fixture(scope="module")
def whole(shelf, tmp_path_factory):
    """What a run that nobody disturbs leaves."""
    out = tmp_path_factory.mktemp("whole") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(shelf)
        assert gradcam(*arguments(out)).status == 3
    return everything(out)


def check_truth(folder):
    """A manifest, wherever a run was killed: valid, and every file that it names is there."""
    if not (folder / "manifest.json").exists():
        return 0
    images = manifest(folder)["images"]
    for image in images:
        for entry in image.get("maps", ()):
            for name in entry["files"].values():
                assert (folder / name).is_file()
    return len(images)


def test_a_run_that_is_killed_anywhere_ends_as_one_that_was_not(tmp_path, whole, monkeypatch):
    """At the moment of a write everything that is there is copied: that is what kill -9 leaves."""
    out, lock, chance = tmp_path / "out", threading.Lock(), random.Random(7)
    left = []
    real = os.replace

    def replace(source, target):
        with lock:
            if chance.random() < 0.15 or str(target).endswith("manifest.json"):
                place = tmp_path / f"killed{len(left)}"
                shutil.copytree(out, place, ignore_dangling_symlinks=True)
                left.append(place)
            real(source, target)

    monkeypatch.setattr("gradcam.command.run.manifest._SHORTEST_PAUSE", 0.0)
    monkeypatch.setattr("gradcam.command.run.manifest._LARGEST_SHARE", 1e9)
    monkeypatch.setattr(files.os, "replace", replace)
    assert gradcam(*arguments(out)).status == 3
    monkeypatch.setattr(files.os, "replace", real)
    assert len(left) > 6
    counts = [check_truth(place) for place in left]
    assert counts == sorted(counts)
    assert counts[-1] == COUNT
    for place in chance.sample(left, 5):
        assert list(place.rglob("*.tmp"))
        assert gradcam(*arguments(place, "--resume")).status == 3
        assert everything(place) == whole


def test_kill_9(tmp_path, whole):
    script = (
        "import os, signal, sys\nfrom gradcam.command import main as cli\nfrom gradcam import files\n"
        "real, writes = os.replace, []\n"
        "def replace(*names):\n"
        "    writes.append(names)\n"
        "    if len(writes) == 14:\n        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    real(*names)\n"
        "files.os.replace = replace\nsys.exit(cli.main(sys.argv[1:]))\n"
    )
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments(out))],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    check_truth(out)
    assert everything(out) != whole
    assert gradcam(*arguments(out, "--resume")).status == 3
    assert everything(out) == whole


def test_ctrl_c_leaves_the_manifest_intact(tmp_path, whole, monkeypatch):
    out = tmp_path / "out"
    real = Manifest.add

    def add(self, entry):
        real(self, entry)
        if entry["path"] == "in/06.jpg":
            raise KeyboardInterrupt

    monkeypatch.setattr(Manifest, "add", add)
    done = gradcam(*arguments(out))
    monkeypatch.setattr(Manifest, "add", real)
    assert done.status == 130
    assert "go on with the same command and --resume" in done.words
    found = manifest(out)
    assert [image["path"] for image in found["images"]] == [f"in/{n:02}.jpg" for n in range(7)]
    assert found["complete"] is False
    assert not list(out.rglob("*.tmp"))
    assert not (out / "manifest.journal").exists()
    done = gradcam(*arguments(out, "--resume", "--json"))
    assert done.status == 3
    assert "6 of 12 images were done before." in done.err
    assert len(done.out.splitlines()) == COUNT
    assert everything(out) == whole


def test_a_signal_stops_the_command(tmp_path):
    """A real Ctrl-C, sent to a process in the middle of its work."""
    out = tmp_path / "out"
    script = (
        "import signal, sys, time\nfrom gradcam.command import main as cli\n"
        # A shell that starts the tests in the background lets them ignore the signal.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from gradcam.command.run.manifest import Manifest\n"
        "real = Manifest.add\n"
        "def add(self, entry):\n    real(self, entry)\n    time.sleep(0.5)\n"
        "Manifest.add = add\nsys.exit(cli.main(sys.argv[1:]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments(out))],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )
    for _ in range(600):
        if (out / "manifest.journal").exists() and (out / "manifest.journal").stat().st_size:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert 0 < check_truth(out) < COUNT


def test_resume_does_again_what_is_missing(tmp_path, whole):
    out = tmp_path / "out"
    gradcam(*arguments(out))
    image = manifest(out)["images"][3]
    (out / image["maps"][0]["files"]["map"]).unlink()
    (out / "report.html").unlink()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.overlay.jpg")}
    assert gradcam(*arguments(out, "--resume")).status == 3
    assert everything(out) == whole
    again = [path for path, written in before.items() if path.stat().st_mtime_ns != written]
    assert [path.name for path in again] == [image["maps"][0]["files"]["overlay"]]


def test_a_journal_that_was_cut_off_is_read_up_to_there(tmp_path, whole):
    out = tmp_path / "out"
    gradcam(*arguments(out))
    found = manifest(out)
    entries, found["images"] = found["images"], []
    (out / "manifest.json").write_text(json.dumps(found))
    lines = "".join(json.dumps(entry) + "\n" for entry in entries[:8])
    (out / "manifest.journal").write_text(lines + '{"path": "in/08')
    done = gradcam(*arguments(out, "--resume"))
    assert "7 of 12 images were done before." in done.err
    assert everything(out) == whole


def test_other_settings_are_refused_unless_told(tmp_path):
    out = tmp_path / "out"
    gradcam(*arguments(out))
    before = everything(out)
    for more in (["--class", "1"], ["--class", "1", "--resume"]):
        done = gradcam(*arguments(out, *more))
        assert done.status == 2
        assert "class top1 there, 1 here" in done.words
        assert "holds the results of a run with other settings" in done.words
        assert everything(out) == before
    (out / "note.txt").write_text("mine")
    done = gradcam(*arguments(out, "--class", "1", "--overwrite"))
    assert done.status == 3
    assert manifest(out)["settings"]["class"] == "1"
    targets = {e["target"] for image in manifest(out)["images"] for e in image.get("maps", ())}
    assert targets == {"1"}
    listed = {
        f for i in manifest(out)["images"] for e in i.get("maps", ()) for f in e["files"].values()
    }
    assert {name for name in everything(out) if name.endswith(".overlay.jpg")} <= listed
    assert (out / "note.txt").read_text() == "mine"


def test_another_model_is_refused(tmp_path):
    network(classes=4).save(tmp_path / "m.keras")
    out = tmp_path / "out"
    gradcam(*arguments(out))
    done = gradcam(
        "explain", "in", "--model", tmp_path / "m.keras", "--out", out, "--save", "overlay,map"
    )
    assert done.status == 2
    assert "another model, m.keras, there" in done.words


def test_the_same_settings_add_photographs_to_a_folder(tmp_path):
    out = tmp_path / "out"
    same = ("--model", "m.keras", "--out", out, "--no-report")
    gradcam("explain", "in/00.jpg", *same)
    gradcam("explain", "in/01.jpg", *same)
    assert [image["path"] for image in manifest(out)["images"]] == ["in/00.jpg", "in/01.jpg"]


def test_resume_and_overwrite_exclude_each_other(tmp_path):
    done = gradcam(*arguments(tmp_path / "out", "--resume", "--overwrite"))
    assert done.status == 2
    assert "not allowed with argument" in done.words


def test_a_manifest_of_many_images_is_not_written_for_each(tmp_path, monkeypatch):
    """Otherwise ten thousand images would cost as much time as a hundred million lines."""
    count = 2000
    paths = [f"{number}.jpg" for number in range(count)]
    written = []
    real = files.write
    monkeypatch.setattr(
        files, "write", lambda path, data: (written.append(len(data)), real(path, data))
    )
    record = Manifest(tmp_path, {"schema": 1}, paths, {})
    record.begin()
    began = time.monotonic()
    for path in paths:
        record.add(pipeline.failed(path, "a reason"))
    record.close(complete=True)
    assert len(manifest(tmp_path)["images"]) == count
    assert len(written) <= 4 + (time.monotonic() - began) / 0.5


def test_a_run_that_takes_too_long_is_ended(tmp_path, whole, monkeypatch):
    script = (
        "import sys, time\nimport tensorflow as tf\nfrom gradcam.command import main as cli\n"
        "from gradcam.command.run.manifest import Manifest\n"
        "from gradcam.command import time_limit\n"
        "real = Manifest.add\n"
        "def add(self, entry):\n"
        "    real(self, entry)\n"
        "    if entry['path'] == 'in/06.jpg':\n"
        "        time_limit._end(3)\n"
        "Manifest.add = add\nsys.exit(cli.main(sys.argv[1:]))\n"
    )
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments(out, "--timeout", "600"))],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 124
    assert "ended after 3 seconds, as --timeout asked" in " ".join(done.stderr.split())
    check_truth(out)
    assert gradcam(*arguments(out, "--resume")).status == 3
    assert everything(out) == whole


def test_the_time_limit_ends_what_python_cannot_interrupt():
    # A loop inside of TensorFlow, which no exception reaches.
    script = (
        "import tensorflow as tf\nfrom gradcam.command import time_limit\n"
        "with time_limit.within('1'):\n"
        "    tf.function(lambda: tf.while_loop(lambda n: n >= 0, lambda n: n * 1, [0]))()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 124


@pytest.mark.parametrize("text", ["0", "-3", "nan", "soon"])
def test_a_time_limit_that_is_none(text):
    done = gradcam("methods", "--timeout", text)
    assert done.status == 2
    assert f"Received --timeout {text}." in done.words
