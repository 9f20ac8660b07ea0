from .config import (
    TrainConfig as TrainConfig,
    learning_rate as learning_rate,
    lower_is_better as lower_is_better,
)
from .distributed import (
    processes as processes,
)
from .ema import (
    Ema as Ema,
)
from .hybrid import (
    Hybrid as Hybrid,
)
from .job import (
    Job as Job,
    Samples as Samples,
)
from .log import (
    hours_trained as hours_trained,
)
from .loop import (
    train as train,
)
from .objective import (
    Denoising as Denoising,
    Objective as Objective,
    edm_weight as edm_weight,
    eps_weight as eps_weight,
    min_snr_weight as min_snr_weight,
    p2_weight as p2_weight,
    v_weight as v_weight,
    x0_weight as x0_weight,
)
from .posthoc import (
    reconstruct as reconstruct,
)
from .recipe import (
    dump_recipe as dump_recipe,
    make_recipe as make_recipe,
    read_recipe as read_recipe,
)
from .stop import (
    Stopped as Stopped,
    TrainingError as TrainingError,
)
from .times import (
    log_normal as log_normal,
    logit_normal as logit_normal,
)
from .uncertainty import (
    Uncertain as Uncertain,
    UncertaintyWeighted as UncertaintyWeighted,
)
from .watch import (
    Seen as Seen,
    Watch as Watch,
    Watched as Watched,
)
