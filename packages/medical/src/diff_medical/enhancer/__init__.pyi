from .enhancer import (
    Enhanced as Enhanced,
    Enhancer as Enhancer,
)
from .settings import (
    Settings as Settings,
)
