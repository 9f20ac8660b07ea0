from .pair import (
    RATE as RATE,
)
from .scores import (
    BETTER as BETTER,
    DEFINITIONS as DEFINITIONS,
    METRICS as METRICS,
    NEEDS as NEEDS,
    align as align,
    available as available,
    dnsmos as dnsmos,
    estoi as estoi,
    mean_interval as mean_interval,
    pesq_wb as pesq_wb,
    score as score,
    si_sdr as si_sdr,
    stoi as stoi,
)
from .spectra import (
    lsd as lsd,
    mel_psnr_ssim as mel_psnr_ssim,
    mr_stft as mr_stft,
)
from .files import (
    Pair as Pair,
    grouped as grouped,
    pairs as pairs,
    score_files as score_files,
    summary as summary,
)
