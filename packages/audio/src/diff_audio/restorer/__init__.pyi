from .restorer import (
    Restorer as Restorer,
)
from .settings import (
    Settings as Settings,
)
