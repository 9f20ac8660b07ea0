"""The pictures of the README, from those of `examples/demo.py`: python docs/pictures/make.py"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "out"
WIDTH = 1000
# Fractions of width and height. The scan keeps two planes before, after and removed, without the
# colour bar.
PARTS = {"speech": (1.0, 1.0), "phantom": (0.92, 0.424)}


def main() -> None:
    """Read out/speech.png and out/phantom.png, and write two small pictures beside this file."""
    for name, (across, down) in PARTS.items():
        with Image.open(OUT / f"{name}.png") as picture:
            box = (0, 0, round(across * picture.width), round(down * picture.height))
            part = picture.convert("RGB").crop(box)
        size = (WIDTH, round(part.height * WIDTH / part.width))
        part.resize(size, Image.Resampling.LANCZOS).save(HERE / f"{name}.webp", quality=82)


if __name__ == "__main__":
    main()
