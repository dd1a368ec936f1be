"""A space with some genes fixed: the same networks and keys, fewer of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from searchspaces.base import Architecture, Choices, Gene, HasDecodingGenes, SearchSpace, nearest

if TYPE_CHECKING:  # named only: whoever searches needs no torch
    from torch import nn


@dataclass(frozen=True)
class SpaceWithFixedGenes:
    """`inner` with the option index of some genes pinned by `repair`.

    Attributes:
        inner: The whole space.
        pinned: (gene index, option index) pairs.
    """

    inner: SearchSpace
    pinned: tuple[tuple[int, int], ...]

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def genes(self) -> tuple[Gene, ...]:
        return self.inner.genes

    @property
    def decoding_genes(self) -> tuple[str, ...]:
        """Decoding genes of the whole space, the fixed ones included."""
        return self.inner.decoding_genes if isinstance(self.inner, HasDecodingGenes) else ()

    @property
    def published(self) -> Mapping[str, Architecture]:
        return self.inner.published

    def repair(self, choices: Choices) -> Choices:
        pinned = np.array(choices, dtype=np.int16)
        for gene, option in self.pinned:
            pinned[:, gene] = option
        return self.inner.repair(pinned)

    def costs(self, choices: Choices) -> Mapping[str, NDArray[np.float64]]:
        return self.inner.costs(choices)

    def build_supernet(self) -> nn.Module:
        return self.inner.build_supernet()

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        return self.inner.build_subnet(supernet, architecture)


def with_fixed_genes(space: SearchSpace, settings: Sequence[str]) -> SearchSpace:
    """`space` with genes fixed by texts such as "resolution=32"; the space itself when there are
    none.

    Raises:
        ValueError: A text names no gene of the space or no option of its gene.
    """
    pinned = []
    names = [gene.name for gene in space.genes]
    for setting in settings:
        splits = [(setting[:i], setting[i + 1 :]) for i, sign in enumerate(setting) if sign == "="]
        name, option = next(
            (split for split in splits if split[0] in names), splits[0] if splits else ("", "")
        )
        if not splits:
            raise ValueError(f"cannot read {setting!r}: write GENE=OPTION, such as 'resolution=32'")
        if name not in names:
            raise ValueError(f"space {space.name!r} has no gene {name!r}; {nearest(name, names)}")
        options = [str(o) for o in space.genes[names.index(name)].options]
        if option not in options:
            raise ValueError(
                f"gene {name!r} of space {space.name!r} has no option {option!r}; it has "
                f"{', '.join(options)}"
            )
        pinned.append((names.index(name), options.index(option)))
        if len({index for gene, index in pinned if gene == names.index(name)}) > 1:
            raise ValueError(
                f"gene {name!r} is fixed twice, to different options: fix it once, got "
                f"{', '.join(settings)}"
            )
    return SpaceWithFixedGenes(space, tuple(pinned)) if pinned else space
