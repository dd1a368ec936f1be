"""Teachers from outside: networks of `evoray export`, rebuilt from weights and architecture, which
cannot run code; or .pt2 files, which can.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from evoray.results.export import load_exported
from searchspaces.base import SearchSpace

_log = logging.getLogger(__name__)
_EXPORT = "evoray export RUN --pick best:accuracy --to safetensors"


@dataclass(frozen=True)
class Teacher:
    """A teacher as it travels to the workers, each of which loads it.

    Attributes:
        place: Folder of an export as safetensors, or a .pt2 file.
        space: Space that rebuilds the exported network; None for a .pt2 file, whose maker is
            trusted.
    """

    place: Path
    space: SearchSpace | None

    def load(self) -> nn.Module:
        """The network, from images to logits.

        Raises:
            ValueError: The files are not what they claim to be.
            FileNotFoundError: It is not there.
        """
        if self.space is not None:
            return load_exported(self.place, self.space).requires_grad_(False)
        _log.warning(
            "teacher %s is loaded by torch.export, which unpickles: if it was made to, it runs any "
            "code now. "
            "It is loaded because --trust-code was given",
            self.place,
        )
        return _Program(self.place)


def check_place(place: Path, *, trust_code: bool) -> None:
    """Refuses what is not there, and what could run code without being trusted.

    Raises:
        FileNotFoundError: There is nothing.
        ValueError: It is a file, and `trust_code` is not set.
    """
    if place.is_dir():
        return
    if not place.is_file():
        raise FileNotFoundError(
            f"there is no teacher {place}: export one with `{_EXPORT}` and give the folder"
        )
    if not trust_code:
        raise ValueError(
            f"teacher {place} is a file, and loading it can run any code of whoever made it, "
            "because torch.export unpickles: "
            f"give the folder of `{_EXPORT}`, which runs none, or add --trust-code if you trust "
            "the file"
        )


class _Program(nn.Module):
    """A torch.export program, whose own modes cannot be changed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._program = torch.export.load(path)
        self.__dict__["network"] = self._program.module()

    def forward(self, x_bchw: torch.Tensor) -> torch.Tensor:
        logits_bk: torch.Tensor = self.__dict__["network"](x_bchw)
        return logits_bk

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> _Program:
        self.__dict__["network"]._apply(fn, recurse)
        return self
