"""The command itself: help, versions, streams, suggestions, layers and methods."""

import json
import os
import pty
import re
import subprocess
import sys
import termios

import keras
import pytest
from keras import layers

import gradcam as package
from gradcam.cam.methods import METHODS
from gradcam.command import layers as layers_command
from gradcam.command import main as cli
from gradcam.command import terminal
from gradcam.trace.inspection import LayerInfo
from tests.support.cli_models import ROOT, command, gradcam, network

SLOW_TO_IMPORT = ("tensorflow", "keras", "numpy", "cv2")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.keras"
    network().save(path)
    return path


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--help"], 0, "show where a model looked"),
        (["--version"], 0, f"gradcam {package.__version__}"),
        (["explain", "--help"], 0, "--preprocess P"),
        (["layers", "--help"], 0, "--signature NAME"),
        (["methods"], 0, "scorecam"),
        ([], 2, "Expected a command"),
        (["explian"], 2, "Received the command 'explian'. Did you mean 'explain'?"),
        (
            ["explain", "--modle", "m.keras", "a.jpg"],
            2,
            "which is no option of gradcam explain. Did",
        ),
        (["explain", "."], 2, "No model was given. Expected --model"),
        (["explain", "--model", "VGG16", "nothing.jpg"], 2, "'nothing.jpg' does not exist"),
        (["explain", "--model", "VGG61", "."], 2, "'VGG16'"),
        (["explain", "--model", "VGG16", "--method", "gradcm", "."], 2, "'gradcam'"),
        (["explain", "--model", "VGG16", "--save", "overlays", "."], 2, "'overlay'"),
        (["layers", "--model", "nothing.keras"], 2, "'nothing.keras' does not exist"),
    ],
)
def test_help_and_wrong_usage_import_nothing_slow(arguments, status, words, tmp_path):
    script = (
        "import sys\nfrom gradcam.command.main import main\nstatus = main(sys.argv[1:])\n"
        f"print([name for name in {SLOW_TO_IMPORT} if name in sys.modules], status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == f"[] {status}"
    assert words in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_every_command_is_in_the_help_and_has_examples_that_fit_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in cli.COMMANDS:
        assert f"\n  {name} " in text
        assert cli.main([name, "--help"]) == 0
        text += capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80


def test_the_module_runs_as_the_command():
    done = command("--version")
    assert done.returncode == 0
    assert done.stdout.decode() == f"gradcam {package.__version__}\n"


def test_setup_names_the_command():
    assert "gradcam = gradcam.command.main:main" in (ROOT / "setup.cfg").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def nested(tmp_path_factory):
    """A model inside of another."""
    inner = keras.Sequential(
        [keras.Input((12, 12, 3)), layers.Conv2D(4, 3, name="conv")], name="backbone"
    )
    parts = [
        keras.Input((12, 12, 3)),
        inner,
        layers.GlobalAveragePooling2D(name="pool"),
        layers.Dense(2, name="scores"),
    ]
    path = tmp_path_factory.mktemp("model") / "nested.keras"
    keras.Sequential(parts, name="whole").save(path)
    return path


def lines_of(text):
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines()]


def test_layers_is_a_line_a_layer_where_another_program_reads_it(nested):
    done = gradcam("layers", "--model", nested)
    assert done.status == 0
    assert done.err == ""
    assert lines_of(done.out) == [
        ["path", "kind", "output", "heatmap"],
        ["backbone", "Sequential", "10x10x4", "yes"],
        ["backbone/conv", "Conv2D", "10x10x4", "chosen"],
        ["pool", "GlobalAveragePooling2D", "4", "no: it has no axes of positions"],
        ["scores", "Dense", "2", "no: it has no axes of positions"],
    ]


def on_screen(*arguments):
    """What the command prints on a terminal of 80 columns, as lines without colours."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, 80))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    for name in ("COLUMNS", "TF_CPP_MIN_LOG_LEVEL"):
        environment.pop(name, None)
    process = subprocess.Popen(
        [sys.executable, "-m", "gradcam", *map(str, arguments)],
        env=environment | {"TF_CPP_MIN_LOG_LEVEL": "0"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    printed = b""
    while True:
        try:
            piece = os.read(ours, 10_000)
        except OSError:  # nobody is left to write
            break
        if not piece:
            break
        printed += piece
    os.close(ours)
    assert process.wait(120) == 0, printed.decode()
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", printed.decode())
    return [line.rstrip() for line in text.replace("\r", "").splitlines()]


@pytest.mark.skipif(os.name != "posix", reason="there are no such terminals")
def test_layers_is_a_tree_on_a_screen_and_says_everything_once(nested):
    printed = on_screen("layers", "--model", nested)
    assert max(map(len, printed)) <= 80
    words = [line.split() for line in printed if line]
    assert words[0] == ["path", "kind", "output", "heatmap"]
    assert words[2:8] == [  # and nothing of what TensorFlow says about itself
        ["whole"],
        ["├─", "backbone", "Sequential", "10x10x4", "yes"],
        ["│", "└─", "conv", "Conv2D", "10x10x4", "chosen"],
        ["├─", "pool", "GlobalAveragePooling2D", "4", "no", "[1]"],
        ["└─", "scores", "Dense", "2", "no", "[1]"],
        ["[1]", "It", "has", "no", "axes", "of", "positions."],
    ]
    said = " ".join(" ".join(printed).split())
    assert said.count("no axes of positions") == 1
    assert "has both names: backbone/conv" in said
    assert "Without --layer, backbone/conv is explained" in said


def test_a_long_path_stays_whole_on_a_screen_and_the_kind_gives_way(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    name = "a_convolution_with_a_name_of_nearly_as_many_letters_as_there_is_room"
    infos = [
        LayerInfo("backbone", "Functional", (None, 6, 6, 2), True, ""),
        LayerInfo(f"backbone/{name}"[:60], "LayerNormalization", (None, 6, 6, 2), True, ""),
        LayerInfo(f"backbone/{name}" * 2, "LayerNormalization", (None, 6, 6, 2), True, ""),
    ]
    layers_command._show(infos, "whole")
    printed = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, printed)) <= 80
    assert [line.split()[-1] for line in printed if "6x6x2" in line] == ["yes"] * 3
    drawn = "".join("".join(printed).split())
    assert name * 2 in drawn.replace("backbone/", "")


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("CONV", ["backbone/conv"]),
        ("backbone", ["backbone", "backbone/conv"]),
        ("b*/c*v", ["backbone/conv"]),
        ("dense", ["scores"]),
    ],
)
def test_layers_can_be_filtered_by_path_and_kind(nested, text, paths):
    done = gradcam("layers", "--model", nested, "--filter", text)
    assert [line[0] for line in lines_of(done.out)[1:]] == paths
    done = gradcam("layers", "--model", nested, "--filter", text, "--json")
    assert [json.loads(line)["path"] for line in done.out.splitlines()] == paths


def test_a_filter_that_leaves_nothing_is_said(nested):
    done = gradcam("layers", "--model", nested, "--filter", "[1]")
    assert done.status == 2
    assert done.out == ""
    assert "None of the 4 layers has '[1]' in its path or kind." in done.words


def test_a_model_without_feature_maps_has_nothing_to_choose(tmp_path):
    keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2)]).save(
        tmp_path / "m.keras"
    )
    done = gradcam("layers", "--model", tmp_path / "m.keras")
    assert done.status == 0
    assert "Without --layer there is nothing to choose" in done.words


def test_json_goes_to_stdout_alone(model):
    done = gradcam("layers", "--model", model, "--json")
    infos = [json.loads(line) for line in done.out.splitlines()]
    assert [info["path"] for info in infos if info["chosen"]] == ["conv2"]
    assert infos[0]["shape"] == [None, 16, 16, 3]
    assert done.err == ""
    done = gradcam("methods", "--json")
    assert [json.loads(line)["name"] for line in done.out.splitlines()] == list(METHODS)


def test_methods_is_the_registry():
    done = gradcam("methods")
    assert done.status == 0
    assert done.err == ""
    assert lines_of(done.out)[1:] == [
        [method.name, f"{method.summary}.", method.use_when] for method in METHODS.values()
    ]


def test_an_unexpected_error_is_a_sentence_and_debug_shows_it(monkeypatch):
    def broken(options):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("gradcam.command.methods.run", broken)
    done = gradcam("methods")
    assert done.status == 1
    assert "Something unexpected happened: ZeroDivisionError: by zero." in done.words
    assert "Traceback" not in done.err
    assert "Traceback" in gradcam("methods", "--debug").err


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (KeyboardInterrupt(), 130, "Interrupted."),
        (
            PermissionError(13, "Permission denied", "/x"),
            2,
            "The system refused something: [Errno 13] Permission denied: '/x'",
        ),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_what_stops_a_command_has_its_status(monkeypatch, error, status, words):
    def stopped(options):
        raise error

    monkeypatch.setattr("gradcam.command.methods.run", stopped)
    done = gradcam("methods")
    assert done.status == status
    assert words in done.words
    assert "Traceback" not in done.err


def test_a_reader_that_goes_away_is_no_error(model):
    process = subprocess.Popen(
        [sys.executable, "-m", "gradcam", "methods", "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(60) == 141
    assert errors == ""


def test_progress_is_plain_lines_where_there_is_no_terminal(monkeypatch, capsys):
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(clock))
    with terminal.progress(6) as step:
        for _ in range(6):
            step()
    printed = capsys.readouterr().err
    assert printed == "3 of 6 images, 4 s an image, 12 s left\n"


def test_progress_is_a_bar_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with terminal.progress(2) as step:
        step()
        step()
    printed = capsys.readouterr().err
    assert "2/2" in printed
    assert "images/s" in printed


def test_what_is_said_cannot_write_to_the_terminal(capsys):
    terminal.say("a\x1b[31mb\rc")
    assert capsys.readouterr().err == "a\\x1b[31mb\\rc\n"
