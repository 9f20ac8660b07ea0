from .model import (
    Settings as Settings,
    Vocoder as Vocoder,
    step_times as step_times,
)
