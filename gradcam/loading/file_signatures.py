"""The names of files that are no model for Keras, by the bytes that they begin with."""

from __future__ import annotations

import json
import re

_UNPACK = "Unpack it, and load what is in it."
_CHECK = "Check the path."
_CONVERT = "gradcam needs a model that gradients can flow through: load the one it was made from."
_ONNX = (
    "gradcam is for Keras. Load the model that it was made from, or turn it into a SavedModel with"
    " onnx2tf."
)
_APPLE = (
    "gradcam needs a model that gradients can flow through: load the one it was converted from."
)
_PROGRAM = "Files of this kind run code when they are opened. Save the model with model.save."
_FETCH = (
    "Get the file itself: run 'git lfs pull' in the repository, or download it from the page of the"
    " repository."
)
_ADDRESS = "Use the address of the file itself, which pages call 'raw' or 'download'."
_GRAPH = (
    "It has no signature, so nothing says what goes in and out. Load the SavedModel or the .h5 file"
    " that it was made from."
)
_BUILD = (
    "Build the model with the code that made it, and call model.load_weights(...) with the path up"
    " to '.index'."
)
_ARCHITECTURE = "Build it with keras.models.model_from_json, load its weights, and save it whole."
_BACK = (
    "Convert it back: tensorflowjs_converter --input_format=tfjs_layers_model --output_format=keras"
    " model.json model.h5."
)
TFJS = ("a model for TensorFlow.js", _BACK)
CHECKPOINT = ("a TensorFlow checkpoint, which is weights without a model", _BUILD)
TORCH = (
    "a PyTorch file",
    (
        "gradcam is for Keras: build the model in Keras and copy its weights; or export it to ONNX,"
        " and turn that into a SavedModel with onnx2tf."
    ),
)
CORE_ML = ("a Core ML model", _APPLE)
TRANSFORMERS = (
    "the folder of a Hugging Face model, whose code lies in the library transformers",
    "gradcam is for Keras: load it with KerasHub's from_preset, and give that model to gradcam.",
)

# The first bytes, what they mean, what to do.
_BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", *TORCH),
    (b"\x93NUMPY", "an array of NumPy (.npy)", "An array alone is no model."),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ\x00", "an xz archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a rar archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", _UNPACK),
    (b"\x89PNG", "a picture (PNG)", "Give the model; a picture is what it explains."),
    (b"\xff\xd8\xff", "a picture (JPEG)", "Give the model; a picture is what it explains."),
    (b"%PDF", "a PDF document", _CHECK),
    (b"\x7fELF", "a program", _CHECK),
    (b"\x08\x01\x12", "the saved_model.pb of a SavedModel", "Load the directory that it lies in."),
)
_TABLE_END = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"


def name_of(head: bytes, tail: bytes, size: int, name: str) -> tuple[str, str]:
    r"""What a file is, and what to do with it.

    Args:
        head: its first bytes.
        tail: its last eight.
        size: how many bytes it has.
        name: what it is called, for the few kinds that have no bytes of their own.

    >>> name_of(b"\x1c\x00\x00\x00TFL3", b"", 8, "model.h5")[0]
    'a TensorFlow Lite model'
    """
    if not head:
        return "empty: it has no byte", "Copy or download it again."
    if not head.strip(b"\x00"):
        return (
            f"nothing but zeros at its beginning, {size} bytes long",
            "It was allocated but not written, as by an interrupted download: get it again.",
        )
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model", _CONVERT
    for beginning, found, advice in _BEGINNINGS:
        if head.startswith(beginning):
            return found, advice
    if head[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    return _checkpoint(tail, name) or _text(head, size) or _binary(head)


def _checkpoint(tail: bytes, name: str) -> tuple[str, str] | None:
    if tail != _TABLE_END and not re.search(r"\.data-\d{5}-of-\d{5}$", name):
        return None
    return CHECKPOINT


def _text(head: bytes, size: int) -> tuple[str, str] | None:
    try:
        # The last character may be cut in two.
        text = head.decode("utf-8-sig", errors="strict" if size <= len(head) else "ignore").strip()
    except UnicodeDecodeError:
        return None
    if any(ord(letter) < 32 and letter not in "\t\n\r\f" for letter in text) or "\ufffd" in text:
        return None
    if text.startswith("version https://git-lfs"):
        length = re.search(r"^size (\d+)$", text, flags=re.MULTILINE)
        stands_for = f" of {length[1]} bytes" if length else ""
        return f"a Git LFS pointer, the text that stands for a file{stands_for}", _FETCH
    if re.match(r"<(!doctype )?html|<head|<body", text, flags=re.IGNORECASE):
        title = re.search(r"<title>\s*(.*?)\s*</title>", text, flags=re.IGNORECASE | re.DOTALL)
        about = f" ('{title[1][:60]}')" if title else ""
        return f"a web page (HTML){about}, not the file that it shows", _ADDRESS
    return _json(text) or (f"a text that begins with {_first_words(text)}", _CHECK)


def _json(text: str) -> tuple[str, str] | None:
    if text[:1] not in {"{", "["}:
        return None
    if '"weightsManifest"' in text or '"modelTopology"' in text:
        return TFJS
    if '"class_name"' in text and '"config"' in text:
        return "the architecture of a Keras model as JSON, without weights", _ARCHITECTURE
    return f"JSON that begins with {_first_words(text)}", _CHECK


def _first_words(text: str) -> str:
    """The beginning of a text, in quotation marks.

    >>> _first_words('a  b')
    '"a b"'
    """
    return json.dumps(" ".join(text[:60].split())[:40], ensure_ascii=False)


def _binary(head: bytes) -> tuple[str, str]:
    if head[:1] == b"\x80" and 2 <= head[1] <= 5 and len(head) > 2:
        return "a Python pickle", _PROGRAM
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 1 << 27:
        return "a file of safetensors, which is weights without a model", "Load the model itself."
    # Both begin with their version; then ONNX has a name, Core ML a description of an input.
    if re.match(rb"\x08[\x01-\x0f]\x12[\x80-\xff]{0,3}[\x00-\x7f]\x0a", head):
        return CORE_ML
    if re.match(rb"\x08[\x02-\x14]\x12.[\w .+-]{2,}|\x08[\x02-\x14]:", head, flags=re.DOTALL):
        return "an ONNX model", _ONNX
    if _is_graph(head):
        return "a frozen graph of TensorFlow 1 (GraphDef)", _GRAPH
    return f"no kind of file that is known here; its first bytes are {head[:8].hex(' ')}", (
        "Check the path, and that the file was copied as binary."
    )


def _is_graph(head: bytes) -> bool:
    """Whether the bytes are a list of nodes, each with a name and an operation."""
    match = re.match(rb"\x0a[\x80-\xff]*[\x00-\x7f]\x0a(.)", head, flags=re.DOTALL)
    if match is None:
        return False
    return re.match(rb"[\w./:^-]{%d}\x12.[A-Z]" % match[1][0], head[match.end() :]) is not None
