from .denoiser import (
    Denoiser as Denoiser,
)
from .network import (
    BandUNet as BandUNet,
)
from .outcome import (
    Outcome as Outcome,
)
from .part import (
    Heard as Heard,
    Part as Part,
)
from .settings import (
    Quality as Quality,
    Settings as Settings,
    step_times as step_times,
)
from .stream import (
    Stream as Stream,
)
