from .model import (
    Voice as Voice,
)
from .speaker import (
    Manner as Manner,
    Piece as Piece,
    Speaker as Speaker,
)
