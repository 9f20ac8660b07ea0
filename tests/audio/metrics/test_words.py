"""Words that a recogniser hears, and how many of them are wrong."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from diff_audio.metrics.loops import excess
from diff_audio.metrics.pair import RATE
from diff_audio.metrics.transcripts import read_transcripts
from diff_audio.metrics.words import Recogniser, WordErrors, pooled, word_errors
from diff_audio.sound.resample import resample
from diff_audio.voice.speaker import Speaker
from diff_core.evaluate import mean_interval


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


@pytest.mark.parametrize(
    ("heard", "text", "beyond"),
    [
        ("no no no", "", 0),
        ("very " * 3, "", 0),
        ("the " * 9, "", 7),
        ("we will see " * 5, "", 9),
        ("we will see " * 5, "we will see " * 5, 0),
        ("so he said " + "it is " * 6 + "late", "", 8),
        ("dog cat " * 3, "dog cat", 0),
        ("", "", 0),
    ],
)
def test_a_loop_is_what_goes_beyond_the_text(heard, text, beyond):
    assert excess(heard.split(), text.split()) == beyond


class Circles:
    """A stand-in for Whisper's network, which no test can make go round in circles at will."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def transcribe(self, samples, **options):
        self.asked.append(options)
        return [SimpleNamespace(text=self.answers[len(self.asked) - 1])], None


@pytest.mark.parametrize(
    ("answers", "text", "heard", "again"),
    [
        (["go on " * 7, "go on then"], "", "go on then", 1),
        (["go on " * 7, "go on " * 7], "", ("go on " * 7).strip(), 1),
        (["go on then"], "", "go on then", 0),
        (["ha " * 8], "ha " * 8, ("ha " * 8).strip(), 0),
    ],
)
def test_a_loop_is_heard_again_with_a_guard_and_counted(
    recogniser, monkeypatch, answers, text, heard, again
):
    network = Circles(*answers)
    monkeypatch.setattr(recogniser, "_model", network)
    monkeypatch.setattr(recogniser, "again", 0)
    assert recogniser(np.ones(RATE), text) == heard and recogniser.again == again
    assert len(network.asked) == 1 + again
    if again:
        assert network.asked[1]["repetition_penalty"] > 1
        assert network.asked[1]["no_repeat_ngram_size"] < network.asked[0]["no_repeat_ngram_size"]
    assert not any(options["condition_on_previous_text"] for options in network.asked)


def test_several_channels_are_refused(recogniser):
    with pytest.raises(ValueError, match=r"wave must be \(T,\)"):
        recogniser(np.zeros((2, RATE)))


def test_the_pooled_rate_counts_words_and_not_recordings():
    found = pooled([WordErrors(10, 1), WordErrors(90, 27), None])
    assert found.mean == pytest.approx(0.28)
    assert (found.count, found.undefined) == (2, 1)
    assert np.isnan(pooled([None]).mean) and np.isnan(pooled([WordErrors(3, 1)]).half)


def test_the_interval_of_equal_texts_is_that_of_their_rates():
    wrong = (1, 4, 2, 8, 0)
    found = pooled([WordErrors(20, count) for count in wrong])
    expected = mean_interval([count / 20 for count in wrong])
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_a_folder_of_texts_has_the_names_of_its_recordings(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a.b.txt").write_text("one")
    (tmp_path / "c.txt").write_text("two")
    texts = read_transcripts(tmp_path)
    assert texts.of("sub/a.b") == "one" and texts.of("c.FLAC") == "two" and texts.of("d") is None
    assert texts.unused(["c.wav"]) == ["sub/a.b"]
    assert read_transcripts(tmp_path / "c.txt").of("anything.wav") == "two"
