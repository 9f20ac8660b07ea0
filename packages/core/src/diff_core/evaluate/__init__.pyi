from .energy import (
    energy_distance as energy_distance,
)
from .exact import (
    ExactDenoiser as ExactDenoiser,
    Gaussian as Gaussian,
    Mixture as Mixture,
)
from .interval import (
    Interval as Interval,
    mean_interval as mean_interval,
)
from .likelihood import (
    log_likelihood as log_likelihood,
)
from .snr_loss import (
    SnrLoss as SnrLoss,
    snr_loss as snr_loss,
)
