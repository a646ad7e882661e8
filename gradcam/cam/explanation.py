"""The result of an explanation."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcam import pictures
from gradcam.errors import ImageError

if TYPE_CHECKING:
    from gradcam.messages.notes import Note

_LONGEST_PART = 80  # bytes of a layer or a target in the name of a file; 255 are all there are


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Where a model looked, for each image of a batch.

    With `top_k`, `maps`, `heatmaps`, `scores` and each of `targets` have one more axis after the
    batch.

    Attributes:
        maps: (batch, positions...) float32, raw, at the size of the tapped layer; after the ReLU
            unless `relu=False`.
        heatmaps: (batch, positions...) at the size of the input, in [0, 1], or in [-1, 1] with
            `relu=False`.
        scores: (batch,) the scores that were explained.
        outputs: what the model returned.
        targets: what was explained for each image: a class index, its name, or words.
        layer: the path of the tapped layer; a tuple where several were fused.
        method: the name of the method.
        notes: what to know before you believe it, each a `Note` with its image and its target.
        warped_heatmaps: where a spatial transformer stands before the layer, the heatmaps in its
            frame; else None.
        coverage: (batch, height, width) there, how far each pixel of the input was seen through
            the transformer, from 0 to 1; else None.
        signed: whether heatmaps have a negative side, as with `relu=False`. Then zero is the middle
            of the colours, also in a heatmap where all is positive.
    """

    maps: np.ndarray
    heatmaps: np.ndarray
    scores: np.ndarray
    outputs: Any
    targets: tuple[Any, ...]
    layer: str | tuple[str, ...]
    method: str
    notes: tuple[Note, ...] = ()
    warped_heatmaps: np.ndarray | None = None
    coverage: np.ndarray | None = None
    signed: bool = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """The sentences of the notes, each once, with the number of the image."""
        return tuple(dict.fromkeys(map(str, self.notes)))

    def __len__(self) -> int:
        return len(self.maps)

    def __repr__(self) -> str:
        count = f"{len(self)} image{'s' if len(self) != 1 else ''}"
        said = f", {len(self.warnings)} warnings" if self.warnings else ""
        what = f"{self.method} of {self.layer!r}, maps {self.maps.shape}"
        return f"Explanation({count}, {what}{said})"

    def overlay(self, images: Any, alpha: float = 0.5, colormap: str = "turbo") -> np.ndarray:
        """The heatmaps in colour over the images.

        Args:
            images: the images that were explained: floats in 0..1 or 0..255, integers in 0..255,
                or whatever the model takes, which is then stretched to the range of the batch.
            alpha: how much of the heatmap is seen, from 0 to 1.
            colormap: the name of an OpenCV colour map.

        Returns:
            (batch, height, width, 3) uint8 RGB; with `top_k` one more axis after the batch. What
            a spatial transformer didn't show stays as it is.
        """
        return pictures.overlay(
            images, self.heatmaps, alpha, colormap, self.coverage, signed=self.signed
        )

    def save(self, folder: str | Path) -> list[Path]:
        """Write each heatmap as a PNG and each raw map as a `.npy` file.

        A heatmap along one or three axes is no picture: of those, only the raw map is written.

        Files of the same names are replaced, which saving the same explanation again does. Give
        other images, another model or other options a folder of their own.

        Returns:
            The files, named `<image>.<method>.<layer>.<target>.heatmap.png`, and `.map.npy`, with
            every `/` as `+`. With `top_k` the target is `<rank>-<target>`. A name that had to be
            changed or shortened to be fit for a file ends in eight digits of its SHA-256, so that
            two are never alike.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for image, place, target in self._each():
            layer = self.layer if isinstance(self.layer, str) else "/and/".join(self.layer)
            label = "-".join(map(str, (*place[1:], target)))
            stem = ".".join([f"{image:04d}", self.method, _part(layer), _part(label)])
            if self.heatmaps[place].ndim == 2:
                picture = folder / f"{stem}.heatmap.png"
                picture.write_bytes(self._png(place))
                written.append(picture)
            array = folder / f"{stem}.map.npy"
            np.save(array, self.maps[place])
            written.append(array)
        return written

    def _png(self, place: tuple[int, ...]) -> bytes:
        """One heatmap in colour."""
        return pictures.encode(pictures.colour(self.heatmaps[place], "turbo", signed=self.signed))

    def _each(self) -> list[tuple[int, tuple[int, ...], Any]]:
        """The number of the image, the index of the map and what it explains, for every map."""
        if self.scores.ndim == 1:
            return [(image, (image,), target) for image, target in enumerate(self.targets)]
        return [
            (image, (image, explained), target)
            for image, targets in enumerate(self.targets)
            for explained, target in enumerate(targets)
        ]

    def _repr_html_(self) -> str:
        cells = []
        for _, place, target in self._each()[:12]:
            caption = html.escape(f"{target}: {float(self.scores[place]):.3g}")
            try:
                png = self._png(place)
            except ImageError:  # a heatmap along one or three axes is no picture
                cells.append(f"<figure><figcaption>{caption}</figcaption></figure>")
                continue
            data = base64.b64encode(png).decode()
            cells.append(
                f'<figure style="display:inline-block;margin:4px"><img alt="heatmap of {caption}"'
                f' style="max-width:160px" src="data:image/png;base64,{data}">'
                f"<figcaption>{caption}</figcaption></figure>"
            )
        said = "".join(f"<li>{html.escape(text)}</li>" for text in self.warnings)
        return f"<p>{html.escape(repr(self))}</p>{''.join(cells)}<ul>{said}</ul>"


def _part(text: str) -> str:
    """One part of a file's name: another for each text.

    >>> _part("backbone/conv"), _part("conv+"), _part("conv_")
    ('backbone+conv', 'conv_-bbd7a6a8', 'conv_')
    """
    cleaned = re.sub(r"[^\w\-\[\]+]", "_", text.replace("+", "_").replace("/", "+"))
    short = cleaned.encode()[:_LONGEST_PART].decode(errors="ignore")
    if short == text.replace("/", "+") and "+" not in text:
        return short
    digits = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{short}-{digits}"
