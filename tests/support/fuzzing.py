"""Files that are mutated and crafted, and a process that opens them under a watchdog.

`python -m tests.support.fuzzing [COUNT [SEED [FIRST [SECONDS]]]]` prints what was found. A case is a
number: the same seed and number make the same file.
"""

# ruff: noqa: PLC0415 - whoever starts the processes needs neither TensorFlow nor Keras

from __future__ import annotations

import io
import json
import multiprocessing
import pathlib
import random
import resource
import shutil
import sys
import tempfile
import time
import zipfile
from collections import Counter

import h5py
import numpy as np

LONGEST, LARGEST = 20.0, 1 << 30
"""Seconds and bytes that a case may take."""
KINDS = ("keras", "h5", "saved_model", "image")
_ODD = (None, -1, 0, 1 << 40, 1.5, "", "x", "relu", [], {}, [None], True, {"class_name": "Dense"})


def seeds(folder):
    """The whole files that the cases begin with; made in a process of its own: it needs Keras."""
    import cv2
    import keras

    from tests.support import gradcam_models, saved_model_makers

    model = gradcam_models.cnn()
    model.save(folder / "model.keras")
    model.save(folder / "model.h5")
    saved_model_makers.save_module(folder / "module", lambda net, x: net.scores(x))
    model.export(str(folder / "export"), verbose=False)
    inputs = keras.Input((1,), dtype="string")
    words = keras.layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")(inputs)
    keras.Model(inputs, words).save(folder / "words.keras")
    picture = np.random.default_rng(0).integers(0, 255, (12, 16, 3), "uint8")
    for ending in ("png", "jpg", "bmp", "tiff", "webp"):
        cv2.imwrite(str(folder / f"image.{ending}"), picture)


def make(seed, number, whole, folder):
    """One case: its kind and the path of the file."""
    chance = random.Random(f"{seed} {number}")
    kind = chance.choice(KINDS)
    if kind == "keras":
        path = _keras(chance, whole, folder)
    elif kind == "h5":
        path = folder / "a.h5"
        path.write_bytes(_h5(chance, (whole / "model.h5").read_bytes()))
    elif kind == "saved_model":
        path = _saved_model(chance, whole, folder)
    else:
        source = chance.choice(sorted(whole.glob("image.*")))
        path = folder / f"a{source.suffix}"
        path.write_bytes(mutated(chance, source.read_bytes()))
    return kind, path


def mutated(chance, data):
    """Bytes of which some are others, are missing, or are there twice."""
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        if not data:
            break
        at = chance.randrange(len(data))
        length = chance.choice((1, 2, 4, 8, 64))
        match chance.randrange(5):
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at : at + length] = chance.choice((b"\x00", b"\xff", b"\x7f")) * length
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[at : at + length]
            case 4:
                del data[at:]
    return bytes(data)


def _keras(chance, whole, folder):
    source = whole / chance.choice(("model.keras", "words.keras"))
    path = folder / "a.keras"
    if chance.random() < 0.2:
        path.write_bytes(mutated(chance, source.read_bytes()))
        return path
    with zipfile.ZipFile(source) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(sorted(parts))
    if name == "config.json" or chance.random() < 0.5:
        parts["config.json"] = _json(chance, parts["config.json"])
    elif name == "model.weights.h5":
        parts[name] = _h5(chance, parts[name])
    else:
        parts[name] = mutated(chance, parts[name])
    with zipfile.ZipFile(path, "w", chance.choice((0, zipfile.ZIP_DEFLATED))) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def _json(chance, text):
    """A config of which some values are others."""
    config = json.loads(text)
    for _ in range(chance.choice((1, 1, 2, 5))):
        places = list(_places(config))
        container, key = chance.choice(places)
        match chance.randrange(4):
            case 0 if isinstance(container, dict):
                del container[key]
            case 1:
                _, other = chance.choice(places), chance.choice(places)
                container[key] = json.loads(json.dumps(other[0][other[1]]))
            case _:
                container[key] = chance.choice(_ODD)
    return json.dumps(config).encode()


def _places(value):
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield value, key
            yield from _places(part)


def _h5(chance, data):
    """An HDF5 file of which bytes are others, or an attribute or a dataset."""
    if chance.random() < 0.5:
        return mutated(chance, data)
    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as file:
        names = []
        file.visit(names.append)
        place = file[chance.choice(names)]
        if isinstance(place, h5py.Dataset):
            shape = chance.choice([(), (0,), (3,), (1 << 20, 1 << 12), (2, 3, 3)])
            dtype = chance.choice(["f4", "i8", "S4", h5py.string_dtype()])
            path = place.name
            del file[path]
            file.create_dataset(path, shape, dtype)
        elif "model_config" in file.attrs and chance.random() < 0.5:
            file.attrs["model_config"] = _json(chance, file.attrs["model_config"])
        elif len(place.attrs):
            name = chance.choice(sorted(place.attrs))
            place.attrs[name] = chance.choice([b"x", 3, [b"x"], np.zeros((2, 2)), ""])
        else:
            del file[place.name]
    return stream.getvalue()


def _saved_model(chance, whole, folder):
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved"
    shutil.copytree(whole / chance.choice(("module", "export")), path)
    others = [p for p in sorted(path.rglob("*")) if p.is_file()]
    file = path / "saved_model.pb" if chance.random() < 0.7 else chance.choice(others)
    if file.name != "saved_model.pb" or chance.random() < 0.2:
        file.write_bytes(mutated(chance, file.read_bytes()))
        return path
    program = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for _ in range(chance.choice((1, 1, 2, 4))):
        _mutate_message(chance, program)
    file.write_bytes(program.SerializeToString())
    return path


def _mutate_message(chance, message):
    """Change one field, somewhere in a program."""
    while True:
        fields = message.ListFields()
        if not fields:
            return
        field, value = chance.choice(fields)
        repeated = hasattr(value, "__len__") and not isinstance(value, str | bytes)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key = chance.choice(sorted(value))
            inner = value[key]
            if chance.random() < 0.2 or not hasattr(inner, "ListFields"):
                del value[key]
                return
            message = inner
            continue
        if repeated:
            at = chance.randrange(len(value))
            if chance.random() < 0.2:
                del value[at]
                return
            if field.message_type is None:
                value[at] = _other(chance, value[at])
                return
            message = value[at]
            continue
        if field.message_type is None or chance.random() < 0.05:
            if chance.random() < 0.3 or field.message_type is not None:
                message.ClearField(field.name)
            else:
                setattr(message, field.name, _other(chance, value))
            return
        message = value


def _other(chance, value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return chance.choice([0, 1, 2, 7, 99, max(0, value - 1)])
    if isinstance(value, float):
        return chance.choice([0.0, float("nan"), 1e30])
    if isinstance(value, bytes):
        return mutated(chance, value)
    return chance.choice(["", "x", "serving_default", value + "x", value[:-1], value * 3])


def opened(kind, path):
    """What opening a file came to: "opened", the code of its error, or what went wrong."""
    import gradcam
    from gradcam import pictures

    try:
        if kind == "image":
            pictures.read_images(path, (16, 16))
            return "opened"
        model = gradcam.load_model(path)
        shape = [size or 1 for size in model.inputs[0].shape]
        if np.prod(shape) < 1 << 20 and len(model.inputs) == 1:
            gradcam.explain(model, np.zeros(shape, "float32"), 0)
    except gradcam.GradCamError as error:
        return error.code
    except Exception as error:  # noqa: BLE001 - the point of it all
        import traceback

        last = traceback.extract_tb(error.__traceback__)
        own = [
            f"{f.filename.rpartition('/')[2]}:{f.lineno}" for f in last if "gradcam/" in f.filename
        ]
        return f"RAW {type(error).__name__} at {own[-1] if own else '?'}: {str(error)[:150]}"
    return "opened"


def _serve(pipe, whole, seed):
    import warnings

    warnings.simplefilter("ignore")
    while (number := pipe.recv()) is not None:
        with tempfile.TemporaryDirectory() as folder:
            kind, path = make(seed, number, whole, pathlib.Path(folder))
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            result = opened(kind, path)
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        pipe.send((kind, result, (after - before) * 1024))


class Watched:
    """A process that opens one case after another, and is replaced where it hangs or dies."""

    def __init__(self, whole, seed):
        self._whole, self._seed, self._process = whole, seed, None

    def run(self, number):
        """The kind of a case and what it came to."""
        if self._process is None:
            self._start()
        self._pipe.send(number)
        try:
            if not self._pipe.poll(LONGEST if self._is_warm else 10 * LONGEST):
                self.stop()
                return "?", "HANG"
            kind, result, grown = self._pipe.recv()
        except (EOFError, ConnectionError):
            code = self._process.exitcode
            self.stop()
            return "?", f"CRASH {code}"
        is_first, self._is_warm = not self._is_warm, True
        if grown > LARGEST and not is_first:
            return kind, f"GROWTH of {grown} bytes"
        return kind, result

    def _start(self):
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, self._whole, self._seed))
        self._process.start()
        other.close()
        self._is_warm = False

    def stop(self):
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def search(count, seed, first=0, seconds=float("inf"), say=None):
    """Open cases until there are enough or time is up: how many of each outcome, and the bad ones."""
    outcomes, bad = Counter(), []
    ends = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as name:
        whole = pathlib.Path(name)
        maker = multiprocessing.get_context("spawn").Process(target=seeds, args=(whole,))
        maker.start()
        maker.join()
        watched = Watched(whole, seed)
        for number in range(first, first + count):
            if time.monotonic() > ends:
                break
            kind, result = watched.run(number)
            outcomes[kind, result.partition(" ")[0]] += 1
            if result.startswith(("RAW", "HANG", "CRASH", "GROWTH")):
                bad.append((number, kind, result))
                if say:
                    say(f"{number} {kind} {result}")
        watched.stop()
    return outcomes, bad


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    total, chosen, start, longest = [*given, *[10_000, 0, 0, 1 << 30][len(given) :]]
    found, wrong = search(total, chosen, start, longest, say=lambda text: print(text, flush=True))
    for (kind, result), times in sorted(found.items()):
        print(f"{kind:12} {result:36} {times}")
    print(f"{found.total()} cases, {len(wrong)} bad")
