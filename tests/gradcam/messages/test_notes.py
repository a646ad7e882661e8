"""Notes are data: each knows its image and its target, and makes its sentence when it is read."""

import pickle

import keras
import numpy as np
import pytest
from keras import layers

import gradcam
from gradcam.messages.notes import Note
from gradcam.messages.words import Voice


@pytest.fixture(scope="module")
def explanation():
    """Image 0 is black, so nothing is active; in image 1 no gradient of class 1 arrives."""
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(1, 3, kernel_initializer="ones", activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, kernel_initializer=lambda shape, dtype: np.array([[1.0, 0.0]], dtype)),
        ]
    )
    images = np.stack([np.zeros((6, 6, 1)), np.ones((6, 6, 1))]).astype("float32")
    # One image a run: each is the first of its batch, and keeps its own number.
    explainer = gradcam.Explainer(model, class_names=["zero", "two"], batch_size=1)
    return explainer(images, top_k=2)


def test_a_note_knows_its_image_and_its_target(explanation):
    known = [(note.code, note.image, note.target) for note in explanation.notes]
    assert known == [("warn-dead-activations", 0, None), ("warn-zero-gradient", 1, "two")]


def test_a_sentence_has_the_number_of_the_image_where_it_does_not_stand_beside_it(explanation):
    _, note = explanation.notes
    assert str(note) == note.message
    assert note.message.startswith("image 1: the gradient of two is zero")
    assert note.said(Voice.TERMINAL).startswith("The gradient of two is zero")


def test_the_warnings_are_the_sentences_of_the_notes(explanation):
    assert explanation.warnings == tuple(map(str, explanation.notes))
    assert "2 warnings" in repr(explanation)


def test_a_note_about_the_run_has_no_image_and_no_target():
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), layers.Conv2D(1, 3), layers.Flatten(), layers.Dense(1)]
    )
    (note,) = gradcam.explain(model, np.ones((2, 6, 6, 1), "float32"), relu=False).notes
    assert (note.code, note.image, note.target) == ("warn-one-linear-unit", None, None)


def test_notes_can_be_pickled_compared_and_kept_in_a_set(explanation):
    copies = pickle.loads(pickle.dumps(explanation.notes))
    assert copies == explanation.notes
    assert set(copies) == set(explanation.notes)
    first, second = explanation.notes
    assert first != second
    assert first != Note(first.code, first.facts, 5)
