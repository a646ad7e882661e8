"""Pictures of what a spatial transformer does: NumPy arrays in, RGB pictures out.

A picture is an array `(height, width, 3)` of uint8; `save` writes it as a PNG file. Arrays may also be
tensors. Images are `(batch, height, width, channels)`, floats in 0..1 or 0..255, bytes, or standardised;
with 1 or 3 channels they are shown as they are, as feature maps, by their mean magnitude, with any other
number.

>>> from keras_stn import plots
>>> layer = keras_stn.SpatialTransformer("similarity", output_size=20)
>>> images = np.ones((2, 40, 40, 1), "float32")
>>> theta = layer.theta(images)
>>> picture = plots.frames(images, layer.grid(theta), layer.warp(images, theta))
>>> picture.dtype, picture.shape[2]
(dtype('uint8'), 3)
"""

from keras_stn.plots.averages import means
from keras_stn.plots.charts import theta_history
from keras_stn.plots.drawing import save
from keras_stn.plots.outlines import frames, meshes
from keras_stn.plots.pictures import pictures
from keras_stn.plots.sheets import sheet

__all__ = ["frames", "means", "meshes", "pictures", "save", "sheet", "theta_history"]
