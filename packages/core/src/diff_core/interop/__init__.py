"""Networks, schedules and autoencoders of other libraries, used as this package's own.

`monai` and `diffusers` here are named after the library that each one serves. The libraries
themselves are extras (`pip install diff-core[monai]`, `diff-core[diffusers]`), imported when first
used; a network that is already built needs neither.
"""

from __future__ import annotations

from diff_core.interop.module import ModuleNetwork
from diff_core.interop.table import from_table

__all__ = ["ModuleNetwork", "from_table"]
