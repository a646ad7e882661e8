"""A Spatial Transformer layer for Keras 3 on TensorFlow."""
