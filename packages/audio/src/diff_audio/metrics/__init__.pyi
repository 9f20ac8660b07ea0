from .pair import (
    RATE as RATE,
)
from .alignment import (
    Delay as Delay,
    align as align,
    delay_of as delay_of,
)
from .scores import (
    BETTER as BETTER,
    BOUNDS as BOUNDS,
    DEFINITIONS as DEFINITIONS,
    METRICS as METRICS,
    NEEDS as NEEDS,
    WER as WER,
    WORST as WORST,
    available as available,
    bounded as bounded,
    dnsmos as dnsmos,
    estoi as estoi,
    mean_score as mean_score,
    pesq_wb as pesq_wb,
    score as score,
    si_sdr as si_sdr,
    stoi as stoi,
    worst_of_silence as worst_of_silence,
)
from .spectra import (
    lsd as lsd,
    mel_psnr_ssim as mel_psnr_ssim,
    mr_stft as mr_stft,
)
from .files import (
    Pair as Pair,
    Scored as Scored,
    grouped as grouped,
    pairs as pairs,
    score_files as score_files,
    summary as summary,
)
