"""Shows where a Keras model looked, and says why when it can't."""
