"""The report: what it is made of, what it says, and what it refuses."""

import os
import re
import shutil
from pathlib import Path

import pytest

from gradcam import GradCamError
from gradcam.command.report import content as report_content
from gradcam.command.report import writing as report
from gradcam.messages import about_reports
from tests.support import report_samples

SIZE = (20, 30)


def made(folder, entries, **changes):
    report_samples.write_manifest(folder, entries, **changes)
    return report.write(folder).read_text(encoding="utf-8")


def sample(folder, **options):
    return report_samples.image(folder, size=SIZE, **options)


def test_the_report_is_one_file_with_everything_in_it(tmp_path):
    entry = sample(tmp_path)
    text = made(tmp_path, [entry, report_samples.failed("in/no.jpg", "It is empty.")])
    assert "report-files" not in text
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)
    assert "http" not in text.replace("http-equiv", "")
    for words in ("in/<b>cat.jpg</b>", "animals.keras", ">45.0%<", "It is empty.", "1 failed"):
        assert words in text
    assert text.count("data:image/png") == 2  # the heatmap and the legend
    assert text.count("data:image/jpeg") == 1  # the original is set by the script, not held twice
    shutil.rmtree(tmp_path / "report-files")


def test_what_has_no_colour_is_explained_where_there_is_such(tmp_path):
    entry = sample(tmp_path, methods=("gradcam", "layercam"))
    words = "No colour: what the model's spatial transformer left out."
    assert words not in made(tmp_path, [entry])
    for found in entry["maps"]:
        found["seen"] = 1.0
    assert words not in made(tmp_path, [entry])
    entry["maps"][-1]["seen"] = 0.25
    assert words in made(tmp_path, [entry])


def test_the_same_run_gives_the_same_bytes(tmp_path):
    entries = [sample(tmp_path, number=n, stem=str(n)) for n in range(3)]
    first = made(tmp_path, entries)
    assert made(tmp_path, entries) == first
    assert not list(tmp_path.glob(".gradcam-*"))
    moved = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "report-files", moved / "report-files")
    assert made(moved, entries) == first


def test_large_pictures_stay_beside_the_page(tmp_path, monkeypatch):
    entry = sample(tmp_path, stem="50% #1?caf\udce9")
    total = sum(file.stat().st_size for file in (tmp_path / "report-files").iterdir())
    monkeypatch.setattr(report, "INLINE_BYTES", total)
    assert 'src="report-files' not in made(tmp_path, [entry])
    monkeypatch.setattr(report, "INLINE_BYTES", total - 1)
    text = made(tmp_path, [entry])
    assert 'src="report-files/50%25%20%231%3Fcaf%E9.photo.jpg"' in text
    assert 'src="report-files/50%25%20%231%3Fcaf%E9.0.heat.png"' in text
    assert "Keep them together" in text


def test_the_policy_lets_in_nothing_but_the_page_s_own_style_and_script(tmp_path, monkeypatch):
    entry = sample(tmp_path)
    policy = re.search(r'Policy" content="([^"]+)"', made(tmp_path, [entry])).group(1)
    assert "default-src &#39;none&#39;; img-src data:; style-src &#39;sha256-" in policy
    assert "unsafe" not in policy
    monkeypatch.setattr(report, "INLINE_BYTES", 0)
    assert "img-src data: &#39;self&#39; file:;" in made(tmp_path, [entry])


def test_predictions_that_are_no_probabilities_are_shown_as_they_are(tmp_path):
    text = made(tmp_path, [sample(tmp_path, classes=[["cat", 12.345], ["dog", -6.0]])])
    assert ">12.3<" in text
    assert ">-6<" in text
    assert '<rect width="48.6"' in text
    assert "%" not in text.split('<ul class="cards"')[1].split("<script")[0]
    assert "Value, highest first" in text


def test_switches_appear_where_there_is_a_choice(tmp_path):
    alone = made(tmp_path, [sample(tmp_path)])
    assert "data-axis" not in alone.split("<script")[0]
    both = made(tmp_path, [sample(tmp_path, methods=("gradcam", "scorecam"))])
    assert both.split("<script")[0].count('data-axis="method"') == 2
    assert 'data-axis="layer"' not in both.split("<script")[0]


def test_classes_of_all_images_are_named_where_they_are_the_same(tmp_path):
    options = {"size": SIZE, "explained": 2}
    same = [report_samples.image(tmp_path, f"{n}.jpg", 0, stem=str(n), **options) for n in "ab"]
    assert report_content.read(report_manifest(same), str)["axes"] == [
        ("rank", "Class", [("0", "cat"), ("1", "dog")])
    ]
    other = report_samples.image(tmp_path, "c.jpg", 1, stem="c", **options)
    assert report_content.read(report_manifest([*same, other]), str)["axes"] == [
        ("rank", "Class", [("0", "Top class"), ("1", "Second class")])
    ]


def report_manifest(entries):
    return {"model": "m.keras", "images": entries}


def test_an_image_without_classes_or_maps_is_shown(tmp_path):
    entry = sample(tmp_path, classes=[["cat", 0.5]]) | {"top": [], "maps": []}
    text = made(tmp_path, [entry])
    assert "No map" in text
    assert '<table class="top-classes"' not in text


def test_fused_layers_have_one_name(tmp_path):
    entry = sample(tmp_path)
    entry["maps"][0]["layer"] = ["block3", "block5"]
    assert "in block3 + block5" in made(tmp_path, [entry])


def test_a_run_with_failures_only_has_a_report(tmp_path):
    text = made(tmp_path, [report_samples.failed("in/no.jpg", "It is <b>empty</b>.")])
    assert "0 images explained" in text
    assert "It is &lt;b&gt;empty&lt;/b&gt;." in text


def test_warnings_of_all_images_stand_at_the_top(tmp_path):
    text = made(tmp_path, [sample(tmp_path)], warnings=["Scores are <i>probabilities</i>."])
    assert (
        "<li>Scores are &lt;i&gt;probabilities&lt;/i&gt;.</li>"
        in text.split('<ul class="cards"')[0]
    )


def broken(folder, text):
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "can be shown: Expecting value"),
        ("[]", "it holds a list"),
        ("{}", "it has no 'schema'"),
        ('{"schema": 2}', "its schema is 2"),
        ('{"schema": 1, "images": [{"status": "done"}]}', "it has no 'photo'"),
        ('{"schema": 1, "images": 3}', "int"),
    ],
)
def test_a_manifest_that_is_none_is_refused(tmp_path, text, words):
    broken(tmp_path, text)
    with pytest.raises(GradCamError, match=re.escape(words)) as caught:
        report.write(tmp_path)
    assert caught.value.code == "report-manifest"
    assert "Run the command again with --overwrite." in str(caught.value)
    assert not (tmp_path / "report.html").exists()


def test_missing_files_are_named(tmp_path):
    with pytest.raises(GradCamError, match=r"manifest.json' can't be read: No such file") as caught:
        report.write(tmp_path)
    assert caught.value.code == "report-unreadable"
    entry = sample(tmp_path)
    report_samples.write_manifest(tmp_path, [entry])
    (tmp_path / entry["maps"][0]["files"]["report"]).unlink()
    with pytest.raises(GradCamError, match=r"0.heat.png' can't be read: No such file"):
        report.write(tmp_path)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "report-files/../../x.png"])
def test_files_outside_of_the_folder_are_refused(tmp_path, name):
    entry = sample(tmp_path) | {"photo": name}
    report_samples.write_manifest(tmp_path, [entry])
    with pytest.raises(GradCamError, match=re.escape(f"names the file '{name}'")) as caught:
        report.write(tmp_path)
    assert caught.value.code == "report-outside"


def test_links_and_pipes_below_the_folder_are_not_followed(tmp_path):
    out, secret = tmp_path / "out", tmp_path / "secret"
    out.mkdir()
    secret.mkdir()
    entry = sample(out)
    name = entry["photo"]
    (secret / "x.png").write_bytes((out / name).read_bytes())
    (out / "dd").symlink_to(secret)
    (out / "one.png").symlink_to(secret / "x.png")
    os.mkfifo(out / "pipe.png")
    for photo in ("dd/x.png", "one.png", "pipe.png"):
        report_samples.write_manifest(out, [entry | {"photo": photo}])
        with pytest.raises(GradCamError, match=re.escape(f"names the file '{photo}'")) as caught:
            report.write(out)
        assert caught.value.code == "report-outside"


def test_a_report_that_can_not_be_written_leaves_nothing(tmp_path, monkeypatch):
    report_samples.write_manifest(tmp_path, [sample(tmp_path)])
    (tmp_path / "report.html").mkdir()
    with pytest.raises(GradCamError, match="can't be written: Is a directory") as caught:
        report.write(tmp_path)
    assert caught.value.code == "report-unwritable"
    assert not list(tmp_path.glob(".gradcam-*"))


def test_every_sentence_about_reports_has_a_test():
    here = Path(__file__).read_text(encoding="utf-8")
    for code in about_reports.WORDS:
        assert f'== "{code}"' in here
