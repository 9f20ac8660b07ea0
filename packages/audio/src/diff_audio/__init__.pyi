from .denoiser import (
    Denoiser as Denoiser,
    Settings as Settings,
)
from .denoiser.network import (
    BandUNet as BandUNet,
)
from .denoiser.outcome import (
    Outcome as Outcome,
)
from .jobs.denoise import (
    denoise_file as denoise_file,
)
from .sound.read import (
    BadFile as BadFile,
)
from .spectra.mel import (
    Mel as Mel,
)
from .spectra.stft import (
    Spectral as Spectral,
)
from .vocoder import (
    Vocoder as Vocoder,
)
from .voice import (
    Speaker as Speaker,
)
