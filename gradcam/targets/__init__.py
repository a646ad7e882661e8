"""What is explained: one score for each image.

| target | what is explained |
|---|---|
| `None` | each image's own top class; the predicted side of a single sigmoid unit |
| `3`, `[3, 5]`, `"cat"` | a class for all images, one an image, or by its name |
| `Class(3)` | the same as `3` |
| `Binary(positive=True)` | what speaks for one side of a single unit |
| `Segmentation(class_index, mask=None, axis=None)` | a class summed over pixels |
| `Regression(index=0)` | a quantity |
| `Similarity(reference)` | the cosine to an embedding |
| `Difference(a, b)` | what speaks for `a` more than for `b` |
| `Output(name, target)` | a target in one of several outputs |
| a function | `outputs -> (batch,)` |
"""

from gradcam.targets.resolving import Difference, Output
from gradcam.targets.scoring import Target
from gradcam.targets.segmentation import Segmentation
from gradcam.targets.single_targets import Binary, Class, Regression, Similarity

__all__ = [
    "Binary",
    "Class",
    "Difference",
    "Output",
    "Regression",
    "Segmentation",
    "Similarity",
    "Target",
]
