from .scores import (
    BETTER as BETTER,
    METRICS as METRICS,
    Scores as Scores,
    score as score,
)
