"""How much of real transcripts the dictionary knows, and how fast text becomes phonemes.

    python benchmarks/audio/text.py MANIFEST.jsonl [SET]

The manifest holds a row of JSON for each recording, with its "text", and with "set" if one is
asked for. Equal texts count once.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from diff_audio.text import phonemes
from diff_audio.text.pronunciation.dictionary import lookup
from diff_audio.text.pronunciation.morphology import compose

START = "from diff_audio.text import phonemes; phonemes('Hello.')"


def main() -> None:
    """Prints the counts and the times."""
    rows = map(json.loads, Path(sys.argv[1]).read_text("utf-8").splitlines())
    wanted = sys.argv[2] if len(sys.argv) > 2 else None
    texts = sorted(
        {row["text"] for row in rows if wanted in (None, row.get("set")) if row.get("text")}
    )
    phonemes("Blorbing.")  # load everything once
    began = time.process_time()
    spoken = [phonemes(text) for text in texts]
    spent = time.process_time() - began
    words = Counter(word for one in spoken for word in one.words)
    unknown = Counter({w: n for w, n in words.items() if w[0].islower() and not lookup(w)})
    composed = {word for word in unknown if compose(word)}
    total = words.total()
    print(f"{len(texts)} texts, {total} words, {len(words)} different")
    share = 100 * unknown.total() / total
    print(
        f"not in the dictionary: {unknown.total()} ({share:.2f} %), {len(unknown)} different, "
        f"of which {len(composed)} are composed of known parts"
    )
    print("by their letters: " + ", ".join(sorted(set(unknown) - composed)))
    print(f"CPU s for 1,000 words: {1000 * spent / total:.3f}")
    times = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", START], check=True)
        times.append(time.perf_counter() - began)
    print(f"a new process to its first phonemes: {min(times):.2f} s (least of 3)")


if __name__ == "__main__":
    main()
