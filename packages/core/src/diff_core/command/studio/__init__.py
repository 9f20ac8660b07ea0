"""A page to try a domain's commands by hand, on one's own machine or in a network; needs the extra
`diff-core[studio]` (starlette, uvicorn).

`studio_command` serves it on 127.0.0.1 only, below a path that is drawn at random at every start.
`serve_command` serves it to a network, to those who hold a token. It sees no files but those that
are uploaded, in a temporary folder that goes when it stops; and it loads nothing from a network.
Both answer --help without the extra.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
