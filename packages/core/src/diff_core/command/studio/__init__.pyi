from .command import (
    serve_command as serve_command,
    studio_command as studio_command,
)
from .field import (
    Field as Field,
)
from .limits import (
    Limits as Limits,
)
from .page import (
    Page as Page,
    Tool as Tool,
)
from .result import (
    write_result as write_result,
)
from .serve import (
    HOST as HOST,
    serve as serve,
    serve_network as serve_network,
)
from .tasks import (
    Choices as Choices,
    Made as Made,
    Work as Work,
)
