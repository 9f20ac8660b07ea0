"""Words that a recogniser hears, and how many of them are wrong."""

import numpy as np
import pytest
import torch

from diff_audio.metrics.pair import RATE
from diff_audio.metrics.words import Recogniser, WordErrors, word_errors
from diff_audio.sound.resample import resample
from diff_audio.voice.speaker import Speaker


@pytest.mark.parametrize(
    ("text", "heard", "words", "wrong"),
    [
        ("one dog barks", "one dog barks", 3, 0),
        ("one dog barks", "one cat barks", 3, 1),
        ("one dog barks", "barks", 3, 2),
        ("one dog barks", "one old dog barks loudly", 3, 2),
        ("one dog barks", "", 3, 3),
        ("MISTER SMITH HAS TWENTY ONE DOGS", "Mr. Smith has 21 dogs.", 5, 0),
        ("The colour isn't grey", "the color is not gray!", 5, 0),
    ],
)
def test_errors_are_the_edits_of_texts_written_alike(text, heard, words, wrong):
    assert word_errors(text, heard) == WordErrors(words, wrong)


def test_a_rate_counts_more_than_was_said():
    assert word_errors("dog", "a dog or a cat").rate == 4.0


def test_a_text_without_words_is_refused():
    with pytest.raises(ValueError, match="no words"):
        word_errors(" ?! ", "dog")


@pytest.fixture(scope="module")
def recogniser():
    return Recogniser()


@pytest.mark.slow
def test_speech_is_heard_at_any_level(recogniser):
    text = "The weather was cold and the river was high in the morning."
    wave, rate = Speaker.from_pretrained()(text)
    heard = resample(torch.from_numpy(wave), rate, RATE).numpy()
    for gain in (1.0, 1e-3):
        assert word_errors(text, recogniser(heard * gain)).rate <= 0.25
    reverse = word_errors(text, recogniser(heard[::-1].copy()))
    assert reverse.rate > 0.5


def test_nothing_is_heard_in_silence(recogniser):
    assert recogniser(np.zeros(RATE)) == ""
    assert recogniser(np.zeros(3)) == ""


def test_several_channels_are_refused(recogniser):
    with pytest.raises(ValueError, match=r"wave must be \(T,\)"):
        recogniser(np.zeros((2, RATE)))
