"""Numbers in buffers that the host knows."""

from __future__ import annotations

from torch import nn


class KnownNumbers:
    """Scalar buffers of a module whose values the host knows, so that a device is not asked for them in each step.

    Checkpoints hold the buffers. What is written here is known; a buffer that was loaded is asked once.

    Args:
        module: registers the buffers, each of shape (), itself.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._values: dict[str, float] = {}
        module.register_load_state_dict_post_hook(self._loaded)

    def __getitem__(self, name: str) -> float:
        """The value; that of a whole number or a truth value is one, too."""
        if name not in self._values:
            self._values[name] = self._module.get_buffer(name).item()
        return self._values[name]

    def __setitem__(self, name: str, value: float) -> None:
        self._module.get_buffer(name).fill_(value)
        self._values[name] = value

    def forget(self) -> None:
        """Buffers were registered anew, or written by somebody else."""
        self._values.clear()

    def _loaded(self, module: nn.Module, keys: object) -> None:
        self.forget()
