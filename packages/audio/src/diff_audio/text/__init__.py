"""The way from text to phonemes, offline.

    from diff_audio.text import encode, phonemes, utterances
    spoken = phonemes("Dr. Smith paid $3.50")       # .phonemes, .words, .skipped
    indices = encode(spoken)                        # into SYMBOLS, with begin and end
    for spoken in utterances(book): ...             # a sentence at a time

The dictionary and the rules are for American English; `engine=` speaks other languages.
"""

from __future__ import annotations

from diff_audio.text.front_end import ENGINES, phonemes, pronounce, utterances
from diff_audio.text.normalise.sentences import sentences
from diff_audio.text.pronunciation.lexicon import Lexicon
from diff_audio.text.spoken import Skipped, Spoken, summary
from diff_audio.text.symbols import SYMBOLS, decode, encode

__all__ = [
    "ENGINES",
    "Lexicon",
    "SYMBOLS",
    "Skipped",
    "Spoken",
    "decode",
    "encode",
    "phonemes",
    "pronounce",
    "sentences",
    "summary",
    "utterances",
]
