from .level import (
    background as background,
    detail_sigma as detail_sigma,
    estimate as estimate,
    fine_axes as fine_axes,
)
from .model import (
    Noise as Noise,
)
