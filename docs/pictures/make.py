"""The pictures of the README, from those of `examples/demo.py`: python docs/pictures/make.py"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "out"
WIDTH = 1000
PLANES = 0.42  # of the height of the scan's picture: two planes before, after, removed


def main() -> None:
    """Reads out/speech.png and out/phantom.png, writes two small pictures beside this file."""
    for name, share in (("speech", 1.0), ("phantom", PLANES)):
        with Image.open(OUT / f"{name}.png") as picture:
            part = picture.convert("RGB").crop(
                (0, 0, picture.width, round(share * picture.height))
            )
        size = (WIDTH, round(part.height * WIDTH / part.width))
        part.resize(size, Image.Resampling.LANCZOS).save(HERE / f"{name}.webp", quality=82)


if __name__ == "__main__":
    main()
