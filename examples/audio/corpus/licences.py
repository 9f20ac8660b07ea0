"""The licence of each file, from what its collection says of it."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["FREE", "esc50", "precise", "reverb_js", "soundfx"]

FREE = frozenset({"CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "public domain"})
"""Licences that allow training and shipping what was trained, with the source named at most."""

_ESC = {"CC0": "CC0-1.0", "CC-BY": "CC-BY-3.0"}


def esc50(text: str) -> dict[str, tuple[str, str]]:
    """Return clip -> (licence, author and address) from the file LICENSE of ESC-50.

    A clip is named without suffix and class, "1-100032-A". Clips under other licences than CC0 and
    CC BY are left out.
    """
    found = {}
    for line in text.splitlines():
        match = re.match(
            r"- \[(.+?)\.(?:ogg|wav)\].*\((https?://\S+)\) by (.+) \[([^\]]+)\]\s*$", line
        )
        if match and match[4] in _ESC:
            found[match[1]] = (_ESC[match[4]], f"{match[3]}, {match[2]}")
    return found


def soundfx(text: str) -> tuple[str, str]:
    """Return (licence, author and address) from the text beside an effect of rse/soundfx.

    The licence is "" if it is not CC0 or CC BY 3.0.
    """
    fields = dict(
        re.findall(r"^(Sound-Origin|Sound-Copyright|License-Name):\s*(.*?)\s*$", text, re.M)
    )
    name = fields.get("License-Name", "")
    licence = "CC0-1.0" if "(CC-0)" in name else "CC-BY-3.0" if "(CC-BY-3.0)" in name else ""
    return licence, f"{fields.get('Sound-Copyright', '')}, {fields.get('Sound-Origin', '')}"


def reverb_js(text: str) -> tuple[str, str]:
    """Return (licence, address) from the attribution of a room of Reverb.js; "" if not free."""
    licence = ""
    if "Public Domain Creative Commons license" in text:
        licence = "public domain"
    elif re.search(r"content: Attribution Creative Commons license", text):
        licence = "CC-BY-3.0"
    address = re.search(r"https?://\S+", text)
    return licence, address[0] if address else ""


def precise(texts: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return file name -> who gave it to the public domain, from the licences of Precise.

    texts: (file name, text) of each licence; the template has no names
    """
    given = {}
    for name, text in texts:
        who = re.search(r"^I, ([^(\n]+?)(?: \(|, hereby)", text.strip())
        if who is None or "author name" in who[1] or "public domain" not in text:
            continue
        for line in text.splitlines():
            if line.strip().endswith(".wav"):
                given[line.strip().rsplit("/", 1)[-1]] = f"{who[1]}, licenses/{name}"
    return given
