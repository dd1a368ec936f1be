"""The processes that train together: who this one is, and sums over all of them."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.distributed as dist


class Group(Protocol):
    """A fixed set of ranks."""

    @property
    def rank(self) -> int: ...

    @property
    def world_size(self) -> int: ...

    def add_up(self, tensor: torch.Tensor) -> None:
        """Replaces `tensor` by its sum over all ranks, in place."""
        ...


class SingleProcess:
    """One process."""

    rank = 0
    world_size = 1

    def add_up(self, tensor: torch.Tensor) -> None:
        """The sum over one rank is what is there."""


class TorchGroup:
    """The default process group of torch.distributed, initialised by the caller."""

    def __init__(self) -> None:
        self._rank, self._world_size = dist.get_rank(), dist.get_world_size()

    @property
    def rank(self) -> int:
        return self._rank

    @property
    def world_size(self) -> int:
        return self._world_size

    def add_up(self, tensor: torch.Tensor) -> None:
        """
        Raises:
            ConnectionError: Another rank has ended, or cannot be reached.
        """
        try:
            dist.all_reduce(tensor)
        except (torch.AcceleratorError, torch.OutOfMemoryError):
            raise
        except RuntimeError as error:  # gloo has no type of its own for a lost peer
            raise ConnectionError(
                f"rank {self._rank} of {self._world_size} has lost the others: {error}"
            ) from error
