"""From a manifest to what the report's template is filled with."""

from __future__ import annotations

import statistics
from collections import Counter
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from gradcam.command.report import text as report_text
from gradcam.messages.wording import printable

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES_SHOWN = 5
_ORDINALS = ("Top class", "Second class", "Third class", "Fourth class", "Fifth class")


def read(manifest: dict[str, Any], source: Callable[[str], str]) -> dict[str, Any]:
    """What the template is filled with.

    Args:
        manifest: as `gradcam explain` writes it.
        source: from the name of a picture's file to the `src` of its `img`.
    """
    done = [image for image in manifest["images"] if image["status"] == "done"]
    failed = [image for image in manifest["images"] if image["status"] == "failed"]
    # Of a model that ends in no softmax, the predicted values are no probabilities.
    percent = all(report_text.is_share(value) for image in done for _, value in image["top"])
    cards = [_card(image, source, percent) for image in done]
    classes = Counter(card["top"][0]["name"] for card in cards if card["top"])
    settings = manifest.get("settings", {})
    return {
        "model": printable(PurePath(manifest["model"]).name),
        "cards": cards,
        "maps": [_beyond_the_first(card["maps"]) for card in cards],
        "failed": [
            {"name": printable(i["path"]), "reason": printable(i["reason"])} for i in failed
        ],
        "warned": sum(card["is_warned"] for card in cards),
        "classes": sorted(classes.items()),
        "axes": _axes_of_all(cards),
        "percent": percent,
        "opacity": round(100 * settings.get("alpha", 0.5)),
        "is_partly_seen": any(entry.get("seen", 1) < 1 for i in done for entry in i["maps"]),
        "colormap": settings.get("colormap", "turbo"),
        "signed": settings.get("relu") is False,
        "warnings": [printable(text) for text in manifest.get("warnings", [])],
        "facts": _facts(manifest, settings),
        "shape": _shape(done),
    }


def _card(image: dict[str, Any], source: Callable[[str], str], percent: bool) -> dict[str, Any]:
    path = PurePath(image["path"])
    height, width = image["size"]
    targets = list(dict.fromkeys(str(entry["target"]) for entry in image["maps"]))
    maps = [_map(entry, targets, source) for entry in image["maps"]]
    return {
        "name": printable(image["path"]),
        "folder": printable(f"{path.parent}/") if path.parent.name else "",
        "file": printable(path.name),
        "photo": source(image["photo"]),
        "height": int(height),
        "width": int(width),
        "top": _top(image["top"][:CLASSES_SHOWN], percent),
        "maps": maps,
        "axes": _axes(maps),
        "is_warned": any(entry["warnings"] for entry in maps),
    }


def _top(top: list[tuple[str, float]], percent: bool) -> list[dict[str, Any]]:
    largest = 1.0 if percent else max((abs(value) for _, value in top), default=1.0)
    return [
        {
            "name": printable(name),
            "score": value,
            "text": report_text.number(value, percent),
            "width": report_text.width(value, largest),
        }
        for name, value in top
    ]


def _map(entry: dict[str, Any], targets: list[str], source: Callable[[str], str]) -> dict[str, Any]:
    """A map as the page's script knows it; `rank` numbers the classes that were explained of an image."""
    layer = entry["layer"] if isinstance(entry["layer"], str) else " + ".join(entry["layer"])
    target, method = printable(entry["target"]), printable(entry["method"])
    return {
        "rank": str(targets.index(str(entry["target"]))),
        "target": target,
        "method": method,
        "layer": printable(layer),
        "caption": f"{target} · {method} · score {entry['score']:.3g}",
        "alt": f"Heatmap of {method} for {target} in {printable(layer)}",
        "warnings": [printable(warning) for warning in entry["warnings"]],
        "src": source(entry["files"]["report"]),
    }


def _beyond_the_first(maps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first map's picture is in the page already: the script takes it from there."""
    return [maps[0] | {"src": None}, *maps[1:]] if maps else []


def _axes(maps: list[dict[str, Any]]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """What there is to switch between: the name of an axis, its label, and values with their words."""
    found = [
        ("rank", "Class", {entry["rank"]: entry["target"] for entry in maps}),
        ("method", "Method", {entry["method"]: entry["method"] for entry in maps}),
        ("layer", "Layer", {entry["layer"]: entry["layer"] for entry in maps}),
    ]
    return [(axis, label, list(words.items())) for axis, label, words in found if len(words) > 1]


def _axes_of_all(cards: list[dict[str, Any]]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    axes = _axes([entry for card in cards for entry in card["maps"]])
    words = {tuple(entry["target"] for entry in card["maps"]) for card in cards}
    if len(words) <= 1:
        return axes
    # Every image has classes of its own: only their order is common to all.
    ranks = sorted({int(entry["rank"]) for card in cards for entry in card["maps"]})
    common = [(str(rank), _ordinal(rank)) for rank in ranks]
    others = [found for found in axes if found[0] != "rank"]
    return [("rank", "Class", common), *others] if len(common) > 1 else others


def _ordinal(rank: int) -> str:
    return _ORDINALS[rank] if rank < len(_ORDINALS) else f"Class {rank + 1}"


def _facts(manifest: dict[str, Any], settings: dict[str, Any]) -> list[tuple[str, str]]:
    facts = {"Model": manifest["model"], "SHA-256": manifest.get("sha256")}
    facts |= {key.replace("_", " ").capitalize(): value for key, value in settings.items()}
    facts |= manifest.get("versions", {})
    return [
        (printable(key), printable(_words(value)))
        for key, value in facts.items()
        if value is not None
    ]


def _words(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _shape(done: list[dict[str, Any]]) -> str:
    """The shape of most pictures: every place for one has it, so that the page doesn't jump."""
    ratios = [width / height for height, width in (image["size"] for image in done)]
    ratio = statistics.median(ratios) if ratios else 1.0
    return "landscape" if ratio > 1.15 else "portrait" if ratio < 1 / 1.15 else "square"
