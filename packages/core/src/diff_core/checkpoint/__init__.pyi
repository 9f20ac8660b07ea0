from .adapter import (
    load_adapter as load_adapter,
    save_adapter as save_adapter,
)
from .description import (
    Json as Json,
    build as build,
    describe as describe,
)
from .model import (
    Card as Card,
    as_checkpoint_error as as_checkpoint_error,
    load as load,
    open_checkpoint as open_checkpoint,
    parse_card as parse_card,
    read_card as read_card,
    save as save,
)
from .tensors import (
    CheckpointError as CheckpointError,
    read_tensors as read_tensors,
    write_tensors as write_tensors,
)
