from .data.studies import (
    find_scans as find_scans,
)
from .enhancer.checks import (
    Checks as Checks,
)
from .enhancer.enhancer import (
    Enhanced as Enhanced,
    Enhancer as Enhancer,
)
from .enhancer.outcome import (
    Outcome as Outcome,
)
from .enhancer.settings import (
    Settings as Settings,
)
from .generator.model import (
    Generator as Generator,
)
from .generator.request import (
    Request as Request,
)
from .jobs.enhance import (
    enhance_file as enhance_file,
)
from .marks.mark import (
    Mark as Mark,
)
from .marks.told import (
    tell as tell,
)
from .metrics.scores import (
    Scores as Scores,
    score as score,
)
from .noise.level import (
    estimate as estimate,
)
from .noise.model import (
    Noise as Noise,
)
from .scan.refusal import (
    ScanError as ScanError,
)
from .slices.mean import (
    posterior_mean as posterior_mean,
)
from .slices.network import (
    NETWORK_TYPES as NETWORK_TYPES,
    SlabNetwork as SlabNetwork,
    slab_denoiser as slab_denoiser,
)
