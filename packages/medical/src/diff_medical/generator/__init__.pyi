from .model import (
    Generator as Generator,
)
from .request import (
    Request as Request,
)
