"""Functions that Keras 3 computes otherwise under the same name.

A model that learned with the one must not run with the other.
"""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable("gradcam")
def keras_2_hard_sigmoid(values: Any) -> Any:
    """The hard sigmoid of Keras 1 and 2: 0.2 x + 0.5, cut at 0 and 1.

    In Keras 3 it rises by a sixth, as in PyTorch.

    >>> [round(float(value), 2) for value in keras_2_hard_sigmoid([-3.0, 0.0, 1.0])]
    [0.0, 0.5, 0.7]
    """
    return keras.ops.clip(0.2 * keras.ops.convert_to_tensor(values) + 0.5, 0.0, 1.0)


# The name in old files, and the registered name of what it was.
FUNCTIONS = {"hard_sigmoid": "gradcam>keras_2_hard_sigmoid"}
