"""Watches spatial transformers while a model trains.

>>> from keras_stn import callbacks
>>> callbacks.TransformerMonitor(np.ones((4, 40, 40, 1)), log_dir="logs").every
1
"""

from keras_stn.callbacks.monitor import TransformerMonitor

__all__ = ["TransformerMonitor"]
