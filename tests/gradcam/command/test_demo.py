"""`gradcam demo`, as people run it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from examples import train_demo_model
from gradcam.command.report.contact_sheet import contact_sheet, outlined
from tests.support import browser

ROOT = Path(__file__).parents[3]

# Any attempt to reach another machine fails the run.
OFFLINE = """\
import socket, sys
def refuse(*_):
    raise AssertionError("the demo asked for a network")
socket.socket.connect = socket.getaddrinfo = refuse
from gradcam.command.main import main
sys.exit(main(sys.argv[1:]))
"""


def gradcam(*arguments, folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, "-c", OFFLINE, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=folder,
        env=environment,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The folder in which the demo was run, and what it said."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, gradcam("demo", folder=folder)


def test_it_says_what_it_does_and_which_file_to_open(demo):
    _, done = demo
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 + 2 * 12  # a table of the two top classes
    assert "All methods side by side: gradcam-demo/methods.png" in done.stderr
    assert done.stderr.rstrip().endswith("Look at gradcam-demo/report.html")
    for name in ("board-01-two.png", "board-12-one.png"):
        assert done.stdout.count(f"gradcam-demo/images/{name}") == 2
    assert "12 images in " in done.stderr
    assert "Traceback" not in done.stderr


def test_it_explains_every_picture_and_reads_it_correctly(demo):
    folder = demo[0] / "gradcam-demo"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert len(manifest["images"]) == 12
    for entry in manifest["images"]:
        assert entry["status"] == "done"
        assert entry["top"][0][0] == Path(entry["path"]).stem.split("-")[2]
        assert len(entry["maps"]) == 6  # two classes by three methods
        for found in entry["maps"]:
            assert (folder / found["files"]["overlay"]).is_file()
            assert found["warnings"] == []


def test_heatmaps_are_clear_where_the_model_did_not_look(demo):
    folder = demo[0] / "gradcam-demo"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    shares, middles = [], []
    for entry in manifest["images"]:
        heat = cv2.imread(str(folder / entry["maps"][0]["files"]["report"]), cv2.IMREAD_UNCHANGED)
        assert heat.shape[2] == 4
        opaque = heat[..., 3] > 127
        shares.append(opaque.mean())
        middles.append(np.argwhere(opaque).mean(axis=0) / opaque.shape)
        # The photograph is left as it is there. JPEG spreads a little of the colours.
        overlay = cv2.imread(str(folder / entry["maps"][0]["files"]["overlay"])).astype(float)
        clear = cv2.resize(heat[..., 3], overlay.shape[1::-1]) == 0
        assert np.median(np.ptp(overlay[clear], axis=-1)) < 20
    # It looks at a part of each board, and at another part of each.
    assert max(shares) < 0.7
    assert 0.1 < np.mean(shares) < 0.5
    _, _, boxes = train_demo_model.draw_boards(12, train_demo_model.SHOWN_SEED)
    digits = (boxes[:, 1::-1] + boxes[:, :1:-1]) / 4 + 0.5  # row and column, as shares of a board
    unmoved = np.abs(digits - np.median(digits, axis=0)).mean()
    assert np.abs(digits - middles).mean() < 0.6 * unmoved


def test_the_contact_sheet_shows_every_method(demo):
    from gradcam import METHODS  # noqa: PLC0415

    sheet = cv2.imread(str(demo[0] / "gradcam-demo" / "methods.png"))
    assert sheet.shape == (2 * 282 + 12, 5 * 252 + 12, 3)
    tiles = [
        sheet[12 + row * 282 : 252 + row * 282, 12 + column * 252 : 252 + column * 252]
        for row in range(2)
        for column in range(5)
    ]
    assert len(tiles) == 1 + len(METHODS)
    board, *maps = (tile.astype(float) for tile in tiles)
    assert np.abs(board - board.mean(axis=-1, keepdims=True)).max() < 1  # grey, as it was read
    for tile in maps:
        assert np.abs(tile - tile.mean(axis=-1, keepdims=True)).max() > 40  # in colour
    captions = sheet[252:282].min(axis=(0, 2)), sheet[534:564].min(axis=(0, 2))
    for row in captions:
        for column in range(5):
            assert row[12 + column * 252 : 252 + column * 252].min() < 100


@pytest.mark.slow  # runs the demo twice more
def test_it_can_be_run_again_and_its_command_by_itself(demo):
    folder, first = demo
    again = re.search(r"^\$ gradcam (explain .*)$", first.stderr, flags=re.MULTILINE).group(1)
    report = folder / "gradcam-demo" / "report.html"
    before = report.read_bytes()
    report.unlink()
    done = gradcam("demo", folder=folder)
    assert done.returncode == 0, done.stderr
    assert report.read_bytes() == before
    assert again.split()[0] == "explain"
    assert "--model=gradcam-demo/digits.keras" in again


def test_a_folder_that_can_not_be_written_to_is_one_sentence(tmp_path):
    (tmp_path / "taken").write_text("a file")
    done = gradcam("demo", "--out", "taken", folder=tmp_path)
    assert done.returncode == 2
    assert "'taken'" in done.stderr
    assert "Traceback" not in done.stderr


def test_its_report_opens_without_a_word_in_the_console(demo):
    with browser.browser() as opened:
        url = (demo[0] / "gradcam-demo" / "report.html").as_uri()
        with browser.Watched(opened, url) as watched:
            assert len(watched.names()) == 12
            assert watched.page.locator("#clear").is_hidden()
            assert [f for f in watched.fetched if not f.startswith("data:")] == [url]


def test_an_outline_surrounds_what_is_masked():
    picture, mask = np.zeros((20, 30, 3), np.uint8), np.zeros((20, 30), np.float32)
    mask[5:15, 8:22] = 1
    drawn = outlined(picture, mask)
    assert not picture.any()
    assert drawn[10, 8].tolist() == drawn[5, 15].tolist() == [255, 255, 255]
    assert not drawn[10, 15].any()
    assert not drawn[1].any()


def test_a_contact_sheet_has_a_place_for_each_picture():
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    pictures = [np.full((40, 60, 3), colour, np.uint8) for colour in colours]
    sheet = contact_sheet(pictures, ["one", "two", "three"], columns=2)
    assert sheet.shape == (2 * 82 + 12, 2 * 72 + 12, 3)
    for place, colour in zip([(30, 40), (30, 110), (112, 40)], colours, strict=True):
        assert tuple(sheet[place]) == colour
    assert (sheet[112, 110] == 255).all()
