from .command import (
    studio_command as studio_command,
)
from .page import (
    Field as Field,
    Page as Page,
)
from .serve import (
    HOST as HOST,
    serve as serve,
)
from .tasks import (
    Choices as Choices,
    Made as Made,
    Work as Work,
)
