"""A page on this machine to try a domain's command by hand; needs the extra `diff-core[studio]`
(starlette, uvicorn).

It listens on 127.0.0.1 only, below a path that is drawn at random at every start; it sees no files
but those that are uploaded, in a temporary folder that goes when it stops; and it loads nothing
from a network. `studio_command` makes the command; it answers --help without the extra.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
