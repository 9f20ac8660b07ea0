from .energy import (
    energy_distance as energy_distance,
)
from .interval import (
    Interval as Interval,
    mean_interval as mean_interval,
)
from .snr_loss import (
    SnrLoss as SnrLoss,
    snr_loss as snr_loss,
)
