"""Settings for all tests."""

import fcntl
import os
import subprocess
import sys

# Before TensorFlow is imported: two virtual devices need one setting, quiet logs the other.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest
import tensorflow as tf

from tests.support import model_files

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture(autouse=True)
def _repeatable(monkeypatch):
    """The same random numbers in every test, and no policy left over from another."""
    monkeypatch.delenv("COLUMNS", raising=False)  # set or not as the tests are started
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")


@pytest.fixture(scope="session")
def two_replicas():
    """One strategy for all tests: those of a second would get the numbers of the first's collectives."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(scope="session")
def old_files(tmp_path_factory):
    """A folder with files of Keras 2, written in a process of its own, once for all workers."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # a worker's folder lies in that of the whole run
    folder = root / "keras_2"
    with (root / "keras_2.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            made = tmp_path_factory.mktemp("keras_2")
            command = [sys.executable, model_files.__file__, str(made)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
            assert done.returncode == 0, done.stderr[-3000:]
            made.rename(folder)
    return folder
