"""The sets of public recordings that train the audio models: one reader a set.

Each takes a clone and the held-out list and returns items, what to copy and what is known of it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import licences
from repositories import Repository

__all__ = ["READERS", "Item", "Reader"]

HeldOut = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Item:
    """A file of a clone and what is known of it.

    path:    in the clone
    to:      in the output folder; its first part is speech, noise, noisy or rooms
    speaker: who speaks; of a noise, its recording, of which two cuts must not be parted
    split:   train or val
    more:    further fields of its line in the manifest, such as `age`
    """

    path: str
    to: str
    set: str
    speaker: str
    split: str
    licence: str
    source: str
    text: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)


Reader = Callable[[Repository, HeldOut], list[Item]]


def _split(held_out: bool) -> str:
    return "val" if held_out else "train"


def _columns(text: str, mark: str | None = "|") -> dict[str, str]:
    """Return first column -> the rest of each line."""
    lines = (line.strip().split(mark, 1) for line in text.splitlines() if line.strip())
    return {line[0]: line[1].strip() for line in lines if len(line) == 2}


def train_clean_5(clone: Repository, held_out: HeldOut) -> list[Item]:
    """LibriSpeech train-clean-5: 28 readers of English books, 16 kHz."""
    top = "LibriSpeech/train-clean-5"
    texts: dict[str, str] = {}
    for text in clone.texts(clone.below(top, ".trans.txt")).values():
        texts |= _columns(text, None)
    items = []
    for path in clone.below(top, ".flac"):
        speaker, _chapter, name = path.split("/")[-3:]
        items.append(
            Item(path, "speech/train_clean_5/" + path.removeprefix(f"{top}/"), "librispeech_tc5",
                 speaker, _split(speaker in held_out["librispeech"]), "CC-BY-4.0",
                 f"LibriSpeech (V. Panayotov et al., 2015), {clone.name}",
                 texts.get(name.removesuffix(".flac"), ""))
        )  # fmt: skip
    return items


def speechocean762(clone: Repository, held_out: HeldOut) -> list[Item]:
    """speechocean762: English by 250 speakers of Mandarin, half of them children, 16 kHz."""
    ages: dict[str, str] = {}
    genders: dict[str, str] = {}
    texts: dict[str, str] = {}
    for part in ("train", "test"):
        ages |= _columns(clone.text(f"{part}/spk2age"), None)
        genders |= _columns(clone.text(f"{part}/spk2gender"), None)
        texts |= _columns(clone.text(f"{part}/text"), None)
    items = []
    for path in clone.below("WAVE", ".wav"):
        _, folder, name = path.split("/")
        speaker = folder.removeprefix("SPEAKER")
        more: dict[str, Any] = {"gender": genders[speaker]} if speaker in genders else {}
        if ages.get(speaker, "").isdigit():
            more["age"] = int(ages[speaker])
        items.append(
            Item(path, "speech/speechocean762/" + path.removeprefix("WAVE/"), "speechocean762",
                 speaker, _split(speaker in held_out["speechocean762"]),
                 "free incl. commercial use",
                 f"speechocean762 (J. Zhang et al., 2021), {clone.name}",
                 texts.get(name.rsplit(".", 1)[0], ""), more)
        )  # fmt: skip
    return items


def _rhasspy(set_: str, folder: str, sounds: str, suffix: str, language: str) -> Reader:
    speaker = set_.rsplit("_", 1)[0]

    def read(clone: Repository, _held_out: HeldOut) -> list[Item]:
        texts = _columns(clone.text("metadata.csv")) | _columns(
            clone.text(f"{sounds}/metadata.csv")
        )
        return [
            Item(path, f"speech/{folder}/{path}", set_, speaker, "train", "CC0-1.0", clone.name,
                 texts.get(path.rsplit("/", 1)[-1].rsplit(".", 1)[0], ""), {"language": language})
            for path in clone.below(sounds, suffix)
        ]  # fmt: skip

    read.__doc__ = f"The {language} voice {speaker} of rhasspy."
    return read


def kathleen(clone: Repository, held_out: HeldOut) -> list[Item]:
    """The voice kathleen of rhasspy: American English, 48 kHz, two channels."""
    items = []
    paths = clone.below("data", ".wav")
    texts = clone.texts([path.removesuffix(".wav") + ".txt" for path in paths])
    for path in paths:
        name = path.rsplit("/", 1)[-1].removesuffix(".wav")
        items.append(
            Item(path, f"speech/kathleen48/{path}", "kathleen_en", "kathleen",
                 _split(name in held_out["kathleen"]), "CC0-1.0", clone.name,
                 texts.get(path.removesuffix(".wav") + ".txt", "").strip())
        )  # fmt: skip
    return items


def esc50(clone: Repository, held_out: HeldOut) -> list[Item]:
    """ESC-50: its clips under CC0 or CC BY, by kind of sound.

    A name is FOLD-FREESOUND-CUT-CLASS; all cuts of a recording of freesound.org go to one split.
    """
    terms = licences.esc50(clone.text("LICENSE"))
    kinds = {
        row["filename"]: row["category"]
        for row in csv.DictReader(io.StringIO(clone.text("meta/esc50.csv")))
    }
    items = []
    for path in clone.below("audio", ".wav", ".ogg"):
        name = path.rsplit("/", 1)[-1]
        clip = re.sub(r"-\d+$", "", name.rsplit(".", 1)[0])
        if clip not in terms:
            continue
        licence, source = terms[clip]
        recording = clip.split("-")[1]
        items.append(
            Item(path, f"noise/esc50/{path}", "esc50", recording,
                 _split(recording in held_out["freesound"]), licence,
                 f"ESC-50 (K. Piczak, 2015), {source}", more={"sound": kinds.get(name, "")})
        )  # fmt: skip
    return items


def keystrokes(clone: Repository, held_out: HeldOut) -> list[Item]:
    """Keys of a laptop's keyboard, each pressed 25 times: by telephone and by video call."""
    return [
        Item(path, f"noise/keys/{path}", "keystrokes", f"{path.split('/')[0]}-{key}",
             _split(key in held_out["keystrokes"]), "MIT", clone.name, more={"sound": "keyboard"})
        for path in clone.below("", ".wav")
        for key in [path.rsplit("/", 1)[-1].rsplit(".", 1)[0].lower()]
    ]  # fmt: skip


def soundfx(clone: Repository, held_out: HeldOut) -> list[Item]:
    """Effects of rse/soundfx, each under the licence in the text beside it."""
    items = []
    paths = clone.below("soundfx.d", ".mp3")
    texts = clone.texts([path.removesuffix(".mp3") + ".txt" for path in paths])
    for path in paths:
        licence, source = licences.soundfx(texts.get(path.removesuffix(".mp3") + ".txt", ""))
        name = path.rsplit("/", 1)[-1].removesuffix(".mp3")
        if licence:
            recording = re.search(r"/s/(\d+)", source)
            speaker = recording[1] if recording else name
            items.append(
                Item(path, f"noise/soundfx/{path}", "soundfx", speaker,
                     _split(speaker in held_out["freesound"]), licence, source,
                     more={"sound": name})
            )  # fmt: skip
    return items


def precise(clone: Repository, _held_out: HeldOut) -> list[Item]:
    """Wake words and other words at home, 16 kHz, given to the public domain file by file.

    What is noisy is no target for a denoiser: these lie in the folder `noisy`, without clean ones.
    """
    texts = clone.texts(clone.below("licenses", ".txt"))
    given = licences.precise((path.rsplit("/", 1)[-1], text) for path, text in texts.items())
    items = []
    for path in clone.below("", ".wav"):
        name = path.rsplit("/", 1)[-1]
        if name in given and not path.startswith("heysavant/"):
            kind = "noise" if path.startswith("not-wake-words/noises") else "noisy"
            items.append(
                Item(path, f"{kind}/precise/{path}", "precise", given[name].split(",")[0], "train",
                     "public domain", f"{clone.name}, {given[name]}")
            )  # fmt: skip
    return items


READERS: dict[str, tuple[str, Reader]] = {
    "train_clean_5": ("zhangrui0712/Voice-Age", train_clean_5),
    "speechocean762": ("jimbozhang/speechocean762", speechocean762),
    "kerstin": (
        "rhasspy/dataset-voice-kerstin",
        _rhasspy("kerstin_de", "kerstin48", "verified", ".flac", "German"),
    ),
    "nathalie": (
        "rhasspy/dataset-voice-nathalie",
        _rhasspy("nathalie_nl", "nathalie", "verified", ".flac", "Dutch"),
    ),
    "flemishguy": (
        "rhasspy/dataset-voice-flemishguy",
        _rhasspy("flemishguy_nl", "flemishguy", "wavs", ".wav", "Dutch"),
    ),
    "kathleen": ("rhasspy/dataset-voice-kathleen", kathleen),
    "esc50": ("caitlinnguyen0/ESC-50", esc50),
    "keystrokes": ("JBFH-Dev/Keystroke-Datasets", keystrokes),
    "soundfx": ("rse/soundfx", soundfx),
    "precise": ("MycroftAI/Precise-Community-Data", precise),
}
"""Name -> (repository, reader)."""
