"""The report in a real browser: what people see and do."""

import os

import cv2
import numpy as np
import pytest

from gradcam.command.report import writing as report
from tests.support import browser, report_samples

WARNING = "Everything speaks against dog. Use relu=False."
HOSTILE = (
    "<script>document.title='run'</script>.jpg",
    '"><img src=x onerror=alert(1)>.jpg',
    "' onmouseover='alert(1)' x='.jpg",
    "</script><script>alert(1)</script>.jpg",
    "{{ 7 * 7 }}<!--.jpg",
    "--version\n.jpg",
    "javascript:alert(1).jpg",
    "caf\udce9.jpg",
)


@pytest.fixture(scope="module")
def opened():
    with browser.browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six images, two methods, two layers, three classes; one warning, one failure."""
    folder = tmp_path_factory.mktemp("report")
    entries = [
        report_samples.image(
            folder,
            f"in/IMG_{number}.jpg",
            number,
            methods=("gradcam", "scorecam"),
            layers=("backbone/early", "backbone/out"),
            explained=3,
            warnings=[WARNING] if number == 2 else (),
        )
        for number in (0, 1, 2, 10, 11, 12)
    ]
    entries.append(report_samples.failed("in/broken.jpg", "It is empty."))
    report.write(report_samples.write_manifest(folder, entries))
    return folder


def url(folder):
    return (folder / "report.html").as_uri()


def picture(locator):
    """What is drawn, as numbers."""
    data = np.frombuffer(locator.screenshot(), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR).astype(float)


def loaded(page, selector):
    page.wait_for_function(
        "s => { const i = document.querySelector(s); return i.complete && i.naturalWidth > 0 }",
        arg=selector,
    )


def difference(one, other):
    return float(np.abs(one - other).mean())


def slide(page, selector, value):
    page.locator(selector).first.fill(str(value))


def test_the_slider_changes_the_picture(opened, folder):
    with browser.Watched(opened, url(folder)) as watched:
        page = watched.page
        loaded(page, ".card .heat")
        stage = page.locator(".looked .stage").first
        half = picture(stage)
        slide(page, ".card .opacity", 0)
        none = picture(stage)
        slide(page, ".card .opacity", 100)
        full = picture(stage)
        assert difference(none, full) > 20
        # Half of the heatmap lies half-way between the photograph and the heatmap alone.
        assert difference(half, (none + full) / 2) < 1.5
        assert difference(none, picture(page.locator(".original .stage").first)) < 0.5
        second = page.locator(".card .heat").nth(1)
        assert second.evaluate("e => getComputedStyle(e).opacity") == "0.5"

        slide(page, "#opacity", 25)
        opacities = "[...document.querySelectorAll('.heat')].map(e => getComputedStyle(e).opacity)"
        assert set(page.evaluate(opacities)) == {"0.25"}


def test_the_switches_change_the_map(opened, folder):
    with browser.Watched(opened, url(folder)) as watched:
        page = watched.page
        loaded(page, ".card .heat")
        card = page.locator(".card").first
        caption = card.locator(".looked figcaption")
        assert caption.inner_text() == "cat · gradcam · score 7.25"
        before = picture(card.locator(".looked .stage"))
        card.get_by_label("Method, IMG_0.jpg").select_option("scorecam")
        assert caption.inner_text() == "cat · scorecam · score 5.25"
        loaded(page, ".card .heat")
        assert difference(before, picture(card.locator(".looked .stage"))) > 5
        card.get_by_label("Class, IMG_0.jpg").select_option("dog")
        card.get_by_label("Layer, IMG_0.jpg").select_option("backbone/out")
        assert caption.inner_text() == "dog · scorecam · score 0.25"
        alt = card.locator(".heat").get_attribute("alt")
        assert alt == "Heatmap of scorecam for dog in backbone/out"

        # The other images follow the switch for every image, which says that it no longer holds for all.
        every = page.get_by_label("Method, every image")
        assert every.input_value() == ""
        every.select_option("gradcam")
        texts = page.locator(".looked figcaption").all_inner_texts()
        assert all(" · gradcam · " in text for text in texts)
        page.get_by_label("Class, every image").select_option("Third class")
        assert [text.split(" ")[0] for text in page.locator(".looked figcaption").all_inner_texts()][:3] == [
            "eel", "fox", "gnu",
        ]  # fmt: skip


def test_search_filters_and_sorting(opened, folder):
    with browser.Watched(opened, url(folder)) as watched:
        page = watched.page
        everything = [f"in/IMG_{number}.jpg" for number in (0, 1, 2, 10, 11, 12)]
        assert watched.names() == everything
        assert page.locator("#count").inner_text() == "6 images"

        page.get_by_label("Search by name").fill("img_1")
        assert watched.names() == [f"in/IMG_{number}.jpg" for number in (1, 10, 11, 12)]
        assert page.locator("#count").inner_text() == "4 of 6 images"
        assert page.locator(".failed li:visible").count() == 0
        page.get_by_role("button", name="Clear the filters").click()
        assert watched.names() == everything

        page.get_by_label("Predicted class", exact=True).select_option("cat")
        assert watched.names() == ["in/IMG_0.jpg", "in/IMG_10.jpg"]
        page.get_by_label("Predicted class", exact=True).select_option("")

        # 0: 45.0 %, 1: 60.7, 2: 76.3, 10: 93.6, 11: 55.3, 12: 70.9
        page.get_by_label("from", exact=True).fill("60")
        page.get_by_label("to", exact=True).fill("80")
        assert watched.names() == [f"in/IMG_{number}.jpg" for number in (1, 2, 12)]
        page.get_by_label("from", exact=True).fill("")
        page.get_by_label("to", exact=True).fill("")

        page.get_by_label("Only with warnings").check()
        assert watched.names() == ["in/IMG_2.jpg"]
        assert page.locator(".warnings li:visible").all_inner_texts() == [WARNING]
        page.get_by_label("Only with warnings").uncheck()

        page.get_by_label("Sort by").select_option("Probability, highest first")
        assert watched.names() == [f"in/IMG_{number}.jpg" for number in (10, 2, 12, 1, 11, 0)]
        page.get_by_label("Sort by").select_option("Probability, lowest first")
        assert watched.names() == [f"in/IMG_{number}.jpg" for number in (0, 11, 1, 12, 2, 10)]
        page.get_by_label("Sort by").select_option("Predicted class")
        assert watched.names() == [f"in/IMG_{number}.jpg" for number in (10, 0, 1, 11, 2, 12)]
        page.get_by_label("Sort by").select_option("Name")
        assert watched.names() == everything

        page.get_by_label("Search by name").fill("nothing like it")
        assert page.get_by_text("No image fits the search and the filters.").is_visible()


def test_everything_works_by_keyboard(opened, folder):
    with browser.Watched(opened, url(folder)) as watched:
        page = watched.page
        focused = (
            "(() => { const e = document.activeElement; return e.getAttribute('aria-label')"
            " || e.closest('label')?.textContent.trim() || e.textContent.trim() })()"
        )
        order = []
        for _ in range(19):
            page.keyboard.press("Tab")
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none"
            order.append(page.evaluate(focused))
        assert order == [
            "Skip to the images", "◐ Dark", "1 failed", "Search by name", "Predicted class", "from", "to",
            "Only with warnings", "Sort by", "Class, every image", "Method, every image",
            "Layer, every image", "Opacity of the heatmap, every image", "About this run",
            "Opacity of the heatmap, IMG_0.jpg", "Enlarge IMG_0.jpg", "Class, IMG_0.jpg",
            "Method, IMG_0.jpg", "Layer, IMG_0.jpg",
        ]  # fmt: skip

        caption = page.locator(".looked figcaption").first
        page.keyboard.press("ArrowDown")
        assert "backbone/out" in page.locator(".heat").first.get_attribute("alt")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("ArrowDown")
        assert caption.inner_text() == "cat · scorecam · score 4.25"
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        assert page.locator(".card.large").count() == 1
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Home")
        opacity = "getComputedStyle(document.querySelector('.heat')).opacity"
        assert page.evaluate(opacity) == "0"
        page.keyboard.press("End")
        assert page.evaluate(opacity) == "1"


def test_every_control_has_a_name_and_every_picture_a_text(opened, folder):
    with browser.Watched(opened, url(folder)) as watched:
        page = watched.page
        nameless = page.evaluate(
            "[...document.querySelectorAll('input, select, button')].filter(e =>"
            " !e.getAttribute('aria-label') && !e.labels?.length && !e.textContent.trim()).length"
        )
        assert nameless == 0
        assert page.locator("img:not([alt])").count() == 0
        assert page.locator(".card img[alt='']").count() == 0


@pytest.mark.parametrize("inline", [True, False])
def test_hostile_names_run_nothing(opened, tmp_path, monkeypatch, inline):
    if not inline:
        monkeypatch.setattr(report, "INLINE_BYTES", 0)
    entries = [
        report_samples.image(
            tmp_path,
            f"in/{name}",
            number,
            (24, 32),
            classes=[[name, 0.9], ["dog", 0.1]],
            methods=(name, "gradcam"),
            layers=(name, "out"),
            explained=2,
            warnings=[name],
            stem=name.replace("/", ""),
        )
        for number, name in enumerate(HOSTILE)
    ]
    entries += [report_samples.failed(name, name) for name in HOSTILE]
    manifest = {"model": f"models/{HOSTILE[0]}", "versions": {HOSTILE[1]: HOSTILE[3]}}
    report.write(report_samples.write_manifest(tmp_path, entries, **manifest))
    with browser.Watched(opened, url(tmp_path)) as watched:
        page = watched.page
        assert page.title() == "Where script>.jpg looked"  # a name ends at its slash
        assert page.locator("script").count() == 2
        assert page.locator("img[onerror], [onmouseover]").count() == 0
        shown = page.locator(".card h2").all_inner_texts()
        assert shown[:5] == [f"in/{name}" for name in HOSTILE[:5]]
        assert shown[5:] == [r"in/--version\n.jpg", "in/javascript:alert(1).jpg", r"in/caf\xe9.jpg"]
        for number in range(len(HOSTILE)):
            card = page.locator(".card").nth(number)
            card.scroll_into_view_if_needed()
            card.hover()
            card.locator("select").first.select_option("dog")
            page.wait_for_function(
                "n => [...document.querySelectorAll('.card')[n].querySelectorAll('img')]"
                ".every(i => i.complete && i.naturalWidth > 0)",
                arg=number,
            )
        page.get_by_label("Predicted class", exact=True).select_option(index=1)
        assert len(watched.names()) == 1


def test_the_page_fetches_nothing(opened, folder, tmp_path):
    entries = [report_samples.image(tmp_path, f"{n}.jpg", n, (40, 40)) for n in range(3)]
    report.write(report_samples.write_manifest(tmp_path, entries))
    for where, allowed in ((folder, "report-files/"), (tmp_path, None)):
        with browser.Watched(opened, url(where)) as watched:
            watched.page.mouse.wheel(0, 5000)
            watched.page.wait_for_timeout(200)
            fetched = [f for f in watched.fetched if not f.startswith("data:")]
            assert fetched[0] == url(where)
            assert all(f.startswith(where.as_uri()) and allowed in f for f in fetched[1:])
            assert bool(fetched[1:]) == (allowed is not None and not _is_inline(where))


def _is_inline(folder):
    return 'src="data:image/jpeg' in (folder / "report.html").read_text(encoding="utf-8")


def test_a_foreign_script_is_refused(opened, folder):
    watched = browser.Watched(opened, url(folder))
    watched.page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        " document.body.append(s) }"
    )
    assert watched.page.evaluate("window.ran") is None
    assert "Content Security Policy" in watched.said[0]
    watched.context.close()


@pytest.mark.parametrize("viewport", [browser.PHONE, browser.DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_sizes_and_schemes(opened, folder, viewport, scheme):
    with browser.Watched(opened, url(folder), viewport, color_scheme=scheme) as watched:
        page = watched.page
        assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
        assert page.locator(".card").first.is_visible()
        assert page.locator("#search").is_visible() == (viewport == browser.DESKTOP)
        back = "getComputedStyle(document.documentElement).backgroundColor"
        text = "getComputedStyle(document.querySelector('h1')).color"
        assert (_brightness(page.evaluate(back)) < 60) == (scheme == "dark")
        assert (_brightness(page.evaluate(text)) > 200) == (scheme == "dark")
        page.locator("#theme").click()
        assert (_brightness(page.evaluate(back)) < 60) != (scheme == "dark")
        if viewport == browser.PHONE:
            page.get_by_text("Search, sort, switch").click()
            assert page.locator("#search").is_visible()


def _brightness(colour):
    return np.mean([float(number) for number in colour[4:-1].split(",")])


def test_without_scripts_every_image_is_there_with_its_map(opened, folder):
    with browser.Watched(opened, url(folder), java_script_enabled=False) as watched:
        page = watched.page
        assert page.locator(".heat").count() == 6
        assert page.locator(".card").first.locator(".looked").is_visible()
        assert page.locator("#theme").is_hidden()
        assert page.get_by_text("It is empty.").is_visible()


def test_a_missing_picture_is_said(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "INLINE_BYTES", 0)
    entry = report_samples.image(tmp_path, "cat.jpg", size=(24, 24))
    report.write(report_samples.write_manifest(tmp_path, [entry]))
    (tmp_path / entry["photo"]).unlink()
    watched = browser.Watched(opened, url(tmp_path))
    watched.page.wait_for_selector(".looked .stage.missing")
    watched.context.close()


def renamed(folder, entry, number):
    """The same image under another name, with files of its own."""
    photo, heat = f"report-files/{number}.jpg", f"report-files/{number}.png"
    os.link(folder / entry["photo"], folder / photo)
    os.link(folder / entry["maps"][0]["files"]["report"], folder / heat)
    found = entry["maps"][0] | {"files": {"report": heat}}
    return entry | {"path": f"in/{number}.jpg", "photo": photo, "maps": [found]}


@pytest.mark.slow
def test_a_thousand_images_load_and_scroll(opened, tmp_path):
    drawn = [report_samples.image(tmp_path, number=n, size=(120, 160)) for n in range(20)]
    entries = [renamed(tmp_path, drawn[n % 20], n) for n in range(1000)]
    report.write(report_samples.write_manifest(tmp_path, entries))
    with browser.Watched(opened, "about:blank") as watched:
        page = watched.page
        page.goto(url(tmp_path), wait_until="load")
        assert page.evaluate("performance.now()") < 8000  # about 1 s on an idle machine
        assert len(watched.names()) == 1000
        laid_out = page.evaluate(
            "[...document.querySelectorAll('.card article')]"
            ".filter(e => e.checkVisibility({contentVisibilityAuto: true})).length"
        )
        assert 2 <= laid_out < 100
        assert 4 < len(watched.fetched) < 300  # the pictures near the screen, of 2000
        spent = page.evaluate(
            """async () => {
              const start = performance.now();
              let worst = 0, last = start;
              for (let y = 0; y < 20000; y += 500) {
                window.scrollTo(0, y);
                await new Promise(requestAnimationFrame);
                worst = Math.max(worst, performance.now() - last);
                last = performance.now();
              }
              return worst;
            }"""
        )
        assert spent < 1000  # of the worst frame; about 30 ms on an idle machine
        page.get_by_label("Sort by").select_option("Probability, lowest first")
        page.get_by_label("Search by name").fill("99")
        assert len(watched.names()) == 19
