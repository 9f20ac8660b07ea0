"""An accelerator that there is not: tensors that claim a device and record who waits for it.

Inside `with StubDevice() as device`, a tensor on `device.name` holds its values on the CPU, where
all arithmetic is done. What would make the program wait for an accelerator is recorded: a value
read back (`item`, `bool`, `tolist`, a shape that depends on values, a copy to the CPU), and what
comes the other way, a copy of host memory to the device.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

NAME = torch.device("meta")
READS = (
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.nonzero.default,
    torch.ops.aten.equal.default,
    torch.ops.aten.masked_select.default,
    torch.ops.aten._unique2.default,
)


class Remote(Tensor):
    """A tensor on the stub; `host` has its values."""

    host: Tensor

    @staticmethod
    def __new__(cls, host: Tensor) -> Remote:
        made = Tensor._make_wrapper_subclass(
            cls, host.shape, strides=host.stride(), dtype=host.dtype, device=NAME
        )
        made.host = host
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} on the stub outside of its block")


class StubDevice(TorchDispatchMode):
    """Records in `reads` and `uploads` the names of the operations."""

    def __init__(self) -> None:
        super().__init__()
        self.name = NAME
        self.reads: list[str] = []
        self.uploads: list[str] = []

    def put(self, host: Tensor) -> Tensor:
        """`host` on the stub, unrecorded."""
        return Remote(host)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        given = tree_flatten((args, kwargs))[0]
        remote = any(isinstance(value, Remote) for value in given)
        wanted = kwargs.get("device")
        stays = remote if wanted is None else torch.device(wanted) == NAME
        if remote and (func in READS or not stays or _by_mask(func, args)):
            self.reads.append(str(func))
        if stays and not remote and any(isinstance(value, Tensor) for value in given):
            self.uploads.append(str(func))
        if wanted is not None:
            kwargs["device"] = torch.device("cpu")

        def unwrap(value: Any) -> Any:
            return value.host if isinstance(value, Remote) else value

        def wrap(value: Any) -> Any:
            return Remote(value) if stays and type(value) is Tensor else value

        result = func(*tree_map(unwrap, args), **tree_map(unwrap, kwargs))
        if func._schema.name.endswith("_") and given:
            # in place: the tensor that was given is the answer
            return args[0]
        return tree_map(wrap, result)


def _by_mask(func: Any, args: Any) -> bool:
    """Whether it is an index by truth values, whose count gives the shape of the answer."""
    if func.overloadpacket not in (torch.ops.aten.index, torch.ops.aten.index_put_):
        return False
    return any(index is not None and index.dtype == torch.bool for index in args[1])
