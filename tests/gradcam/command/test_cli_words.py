"""The command speaks of its own options, and ends with a sentence whatever a user's code raises."""

import json
import os
import re
import string

import keras
import pytest

from gradcam.command.model import foreign
from gradcam.errors import GradCamError
from gradcam.messages import about_callbacks, about_taps, about_training, catalogue
from gradcam.messages.words import Voice
from tests.support.cli_models import encoded, gradcam, network, picture

# Arguments and objects of the Python API, but for what is said to be done "in Python".
API = re.compile(
    r"(?<![-\w])(?:layer|method|relu|score|target|input|counterfactual|signature|safe_mode|fuse|loss"
    r"|custom_objects|max_channels|batch_size|preprocess)=|top_k|class_names"
    r"|gradcam\.(?:layers|load_model|explain|diagnose|tap|targets)"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("words")
    network().save(place / "m.keras")
    network(classes=1, activation="sigmoid").save(place / "yesno.keras")
    network(classes=1, activation=None).save(place / "age.keras")
    (place / "cat.png").write_bytes(encoded(picture(), ".png"))
    return place


def explain(folder, *options, model="m.keras"):
    out = folder / "out"
    done = gradcam(
        "explain", folder / "cat.png", "--model", folder / model, "--out", out, "--overwrite",
        "--no-report", *options,
    )  # fmt: skip
    assert done.status == 0 or not out.exists() or (out / "manifest.json").exists()
    return done


def places(sentence):
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


# Themes that a command never meets, and codes that only calls from Python can meet.
PYTHON_ONLY = set(about_callbacks.WORDS) | set(about_taps.WORDS) | set(about_training.WATCH)
PYTHON_ONLY |= {"legacy-model"}


@pytest.mark.parametrize("code", sorted(set(catalogue.WORDS) - PYTHON_ONLY))
def test_the_terminal_is_told_no_argument_of_python(code):
    words = catalogue.WORDS[code]
    sentence = str(words.terminal or words)
    assert places(sentence) <= places(str(words))
    if "in Python" not in sentence:
        assert not API.search(re.sub(r"\{.*?\}", "", sentence))


def test_a_voice_is_chosen_where_the_sentence_is_made():
    """Both at once, as two threads would: nothing is switched for anyone else."""
    error = GradCamError("top-k", top_k=9, expected="x", advice="")
    assert str(error.words(Voice.TERMINAL)).startswith("Received --class top9.")
    assert str(error).startswith("Received top_k=9.")
    assert (error.received, error.expected, error.fix) == ("Received top_k=9.", "Expected x.", "")


@pytest.mark.parametrize(
    ("model", "options", "status", "words"),
    [
        ("m.keras", ["--class", "top0"], 2, "Received --class top0. Expected a number from 1"),
        ("m.keras", ["--max-channels", "0"], 2, "Received --max-channels='0'. Expected a number"),
        ("m.keras", ["--class", "0,1"], 2, "Received --class '0,1' but no class names"),
        ("m.keras", ["--signature", "x"], 2, "Received --signature x for"),
        ("m.keras", ["--size", "99999x99999"], 2, "4096x4096 at most"),
        ("yesno.keras", ["--class", "top0"], 2, "leave --class out"),
        ("yesno.keras", ["--class", "positve"], 2, "Did you mean 'positive'?"),
        ("age.keras", [], 0, "what makes it larger was explained"),
        ("age.keras", ["--class", "1"], 2, "Received --class 1, but the output is one linear"),
    ],
)
def test_options_are_called_by_their_names(folder, model, options, status, words):
    done = explain(folder, *options, model=model)
    assert done.status == status
    assert words in done.words
    assert not API.search(done.words)


@pytest.mark.parametrize("side", ["negative", "positive"])
def test_the_sides_of_a_sigmoid_are_named_as_the_table_names_them(folder, side):
    done = explain(folder, "--class", side, "--json", model="yesno.keras")
    assert done.status == 0, done.err
    assert f'"target": "{side}"' in done.out


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("class Own(Exception): pass\ndef f(x): raise Own('no cats')", "with Own: no cats"),
        ("def f(x): raise SystemExit(5)", "with SystemExit: 5"),
        ("raise SystemExit(0)", "with SystemExit: 0"),
        ("def f(x): return x[:, :10]", "images, height and width stay"),
    ],
)
def test_whatever_a_preprocessing_raises_is_a_sentence(folder, tmp_path, monkeypatch, code, words):
    name = f"mine_{abs(hash(code))}"
    (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    done = explain(folder, "--preprocess", f"{name}:f")
    assert done.status == 2
    assert words in done.words


def test_a_module_that_ends_the_process_is_a_sentence(folder, tmp_path, monkeypatch):
    (tmp_path / "leaving.py").write_text("import sys\nsys.exit('not today')")
    monkeypatch.syspath_prepend(tmp_path)
    done = explain(folder, "--import", "leaving")
    assert done.status == 2
    assert "--import leaving failed: not today." in done.words


def test_a_failed_download_is_a_sentence(folder, monkeypatch):
    def offline(**_):
        message = "URL fetch failure on https://x: None -- unknown host"
        raise Exception(message)  # noqa: TRY002 - as Keras does

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    done = gradcam("explain", folder / "cat.png", "--model", "MobileNetV2")
    assert done.status == 2
    assert "The weights of MobileNetV2 are not on this computer" in done.words
    assert "unknown host. Expected" in done.words


def test_own_errors_pass_and_an_interrupt_too():
    def refused():
        raise GradCamError("photo-not-given")

    def stopped():
        raise KeyboardInterrupt

    with pytest.raises(GradCamError, match="No photograph"):
        foreign.call(refused, None)
    with pytest.raises(KeyboardInterrupt):
        foreign.call(stopped, None)


@pytest.mark.parametrize(
    ("model", "asked", "targets"),
    [
        ("m.keras", "top9", 3),
        ("yesno.keras", "top3", 2),
        ("yesno.keras", "top2", 2),
        ("yesno.keras", "top1", 1),
    ],
)
def test_more_top_classes_than_there_are_mean_all(folder, model, asked, targets):
    done = explain(folder, "--class", asked, "--json", model=model)
    assert done.status == 0, done.err
    maps = json.loads(done.out)["maps"]
    assert len({entry["target"] for entry in maps}) == len(maps) == targets
    is_fewer = asked in {"top9", "top3"}
    note = f"no more than {targets} classes: --class {asked} explains all of them."
    assert (note in done.words) == is_fewer


@pytest.mark.parametrize("place", ["first", "last"])
def test_names_after_two_dashes_may_begin_with_one(folder, tmp_path, monkeypatch, place):
    (tmp_path / "-rf.png").write_bytes((folder / "cat.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    options = ["--model", folder / "m.keras", "--no-report"]
    given = ["--", "-rf.png"]
    if place == "first":  # then the options are names too
        done = gradcam("explain", *given, *options)
        assert done.status == 2
        assert "'--model' does not exist" in done.words or "No model was given" in done.words
        return
    done = gradcam("explain", *options, *given, "--json")
    assert done.status == 2  # --json is a name here
    done = gradcam("explain", "--json", *options, *given)
    assert done.status == 0, done.err
    assert '"path": "-rf.png"' in done.out


def test_names_after_two_dashes_are_refused_where_there_are_none(folder):
    done = gradcam("layers", "--model", folder / "m.keras", "--", "-x")
    assert done.status == 2
    assert "'-x', which is no option of gradcam layers" in done.words


def test_the_folder_of_photographs_is_no_folder_of_results(folder, tmp_path):
    (tmp_path / "cat.png").write_bytes((folder / "cat.png").read_bytes())
    done = gradcam("explain", tmp_path, "--model", folder / "m.keras", "--out", tmp_path)
    assert done.status == 2
    assert "is the folder of the photographs, and --out too" in done.words
    assert [path.name for path in tmp_path.iterdir()] == ["cat.png"]


def test_a_pipe_among_the_photographs_is_not_waited_for(folder, tmp_path):
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in" / "pipe.png")
    (tmp_path / "in" / "cat.png").write_bytes((folder / "cat.png").read_bytes())
    done = gradcam(
        "explain", tmp_path / "in", "--model", folder / "m.keras", "--out", tmp_path / "o", "--json"
    )
    assert done.status == 3
    assert "It is a pipe or a device. Copy the image to a file first." in done.out
