"""The base of adapters: a frozen network with a small part beside it that is trained."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

from torch import Tensor, nn

__all__ = ["Adapter"]


class Adapter(nn.Module):
    """A network whose weights stay as they are, and what is trained in its place.

    `network` is frozen: none of its weights wants a gradient, and it stays in evaluation mode.
    An untrained adapter gives exactly the network's output. `diff_core.io.save_adapter` writes
    the trained part alone. Raises ValueError for a magnitude-preserving network, whose layers
    leave no room for what is added.
    """

    network: nn.Module
    config: dict[str, object]

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if getattr(network, "config", {}).get("magnitude_preserving"):
            raise ValueError(
                "network is magnitude-preserving; expected one of the usual layers, for an adapter"
            )
        self.network = network.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Set the mode of what is trained; the network stays in evaluation mode."""
        super().train(mode)
        self.network.eval()
        return self

    @abstractmethod
    def is_trained(self, name: str) -> bool:
        """Return whether a tensor of the state dictionary belongs to what is trained."""

    @abstractmethod
    def network_name(self, name: str) -> str:
        """Return the name in the network itself of a frozen tensor of the state dictionary."""

    def trained_state(self) -> dict[str, Tensor]:
        """The tensors of what is trained, by their names in the state dictionary."""
        return {name: t for name, t in self.state_dict().items() if self.is_trained(name)}

    def network_state(self) -> dict[str, Tensor]:
        """The tensors of the frozen network, by their names in its own state dictionary."""
        state = self.state_dict().items()
        return {self.network_name(n): t for n, t in state if not self.is_trained(n)}
