"""Rebuilds Keras models from `.keras` and `.h5` files of any version."""
