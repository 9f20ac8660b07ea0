from .bound import (
    variational_bound as variational_bound,
)
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
    Summary as Summary,
    mean_interval as mean_interval,
    summarise as summarise,
)
from .joint import (
    JointMixture as JointMixture,
)
from .likelihood import (
    log_likelihood as log_likelihood,
)
from .pairing import (
    Matched as Matched,
    Naming as Naming,
    match_files as match_files,
)
from .sample_score import (
    RandomFeatures as RandomFeatures,
    SampleScore as SampleScore,
    frechet_distance as frechet_distance,
)
from .shrinkage import (
    shrunken_covariance as shrunken_covariance,
)
from .snr_loss import (
    SnrLoss as SnrLoss,
    snr_loss as snr_loss,
)
