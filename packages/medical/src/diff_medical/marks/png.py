"""Pictures of synthetic scans that say so: in pixels, in texts, and in the IPTC's words for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diff_medical.marks.mark import NOTICE, Mark
from diff_medical.marks.stamp import is_stamped
from diff_medical.scan.refusal import foreign

__all__ = ["signs", "write"]

_XMP_KEY = "XML:com.adobe.xmp"
_BY_MODEL = "trainedAlgorithmicMedia"  # IPTC, "Digital source type": made by a trained model
_XMP = f"""<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/{_BY_MODEL}"/>
</rdf:RDF></x:xmpmeta>"""


def write(path: Path, pixels: NDArray[np.uint8], mark: Mark | None) -> None:
    """Writes grey levels (H, W) or colours (H, W, 3), which are stamped already, to `path`, PNG;
    not atomically. Without a mark it says that it is synthetic, not of which model.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_text("Synthetic", "true")
    texts.add_text("Description", NOTICE)
    if mark:
        texts.add_text("Software", mark.software)
        texts.add_text("Comment", mark.json())
    texts.add_itxt(_XMP_KEY, _XMP)
    Image.fromarray(pixels).save(path, format="PNG", pnginfo=texts, optimize=True)


def signs(path: Path) -> dict[str, Mark | None]:
    """Return the marks in a picture, by their place; None for "synthetic" without a mark.

    The stamp is looked for where no text tells. Raises ValueError for a file that is no picture.
    """
    from PIL import Image

    found: dict[str, Mark | None] = {}
    with foreign(_unreadable):
        with Image.open(path) as image:
            image.load()
            for value in image.info.values():
                text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
                if not isinstance(text, str):
                    continue
                if mark := Mark.parse(text):
                    found["text"] = mark
                elif _BY_MODEL in text:
                    found["XMP"] = None
            if not found and is_stamped(np.asarray(image.convert("L"))):
                found["picture"] = None
    return found


def _unreadable(why: str) -> ValueError:
    return ValueError(f"cannot be read as a picture ({why}); copy it again")
