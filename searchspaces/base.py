"""The search-space contract: what a space must offer so that every sampler, searcher and objective
can use it.

A space is any object that fits `SearchSpace`; it needs no base class and no registration. A
population is an `(n, g)` int16 array of option indices ("choices"); an `Architecture` exists only
where one network crosses to a worker or a file.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # named only; every command would wait for it before it could be told to stop
    import torch
    from torch import nn

Choices = NDArray[
    np.int16
]  # (n, g): n candidates, g genes; each value an index into its gene's options
Keys = NDArray[np.bytes_]  # (n,): text ids as ASCII bytes
Option = int | float | str | bool  # tuples of them too, such as (3, 3) for a kernel

_MOST_OPTIONS = 2**15 - 1  # an index into them fits into Choices
_DIGITS = np.frombuffer(b"0123456789abcdefghijklmnopqrstuvwxyz", dtype=np.uint8)


@dataclass(frozen=True)
class Gene:
    """One decision of a space.

    Attributes:
        name: Unique within its space, dotted from the outside in: "stage2.width".
        options: Values to choose from, smallest first where there is an order; numpy's scalars
            become Python's, lists tuples.
    """

    name: str
    options: tuple[Option, ...]

    def __post_init__(self) -> None:
        if isinstance(self.options, str | bytes | Set | Mapping) or not isinstance(
            self.options, Iterable
        ):  # a set has no order
            raise ValueError(f"gene {self.name!r} needs a tuple of options, got {self.options!r}")
        object.__setattr__(
            self, "options", tuple(_plain_option(option, self.name) for option in self.options)
        )
        if not self.options or len(set(self.options)) != len(self.options):
            raise ValueError(
                f"gene {self.name!r} needs distinct options and at least one, got {self.options}"
            )
        if len(self.options) > _MOST_OPTIONS:
            raise ValueError(
                f"gene {self.name!r} must have at most {_MOST_OPTIONS} options, got "
                f"{len(self.options)}: make two genes of it"
            )


def _plain_option(option: Any, gene: str) -> Any:  # Any: whatever a user offers
    if isinstance(option, np.ndarray):
        option = option.tolist()
    if isinstance(option, list | tuple):
        return tuple(_plain_option(item, gene) for item in option)
    plain = option.item() if isinstance(option, np.generic) else option
    if isinstance(plain, Enum):
        return plain
    if plain is not None and not isinstance(plain, int | float | str | bool):
        raise ValueError(
            f"gene {gene!r} needs numbers, texts or tuples of them as options, got "
            f"{type(plain).__qualname__} {plain!r:.80}"
        )
    if isinstance(plain, float) and not math.isfinite(plain):
        raise ValueError(f"gene {gene!r} needs finite numbers as options, got {plain}")
    return plain


@dataclass(frozen=True)
class Architecture:
    """One network of a space.

    Attributes:
        space: The space's name.
        choices: One option index a gene, canonical (already repaired).
        key: Stable text id of the canonical choices; equal keys mean the same built network.
    """

    space: str
    choices: tuple[int, ...]
    key: str


@dataclass(frozen=True)
class ComplexityLevels:
    """Windows of one cost, from small to large, in which training samples its subnets.

    A space that `HasLevels` offers those of its authors.

    Attributes:
        cost: Name of one of the space's costs.
        starts: Lower end of each window, ascending, in the cost's unit.
        span: Width of each window.
        floors: Network of each window that none of its subnets is below in any gene.
    """

    cost: str
    starts: tuple[float, ...]
    span: float
    floors: tuple[Architecture, ...]

    def __post_init__(self) -> None:
        ascending = all(a < b for a, b in zip(self.starts, self.starts[1:], strict=False))
        if (
            not self.starts
            or not ascending
            or self.span <= 0
            or len(self.floors) != len(self.starts)
        ):
            raise ValueError(
                "levels need ascending starts, a span above 0 and a floor each, got "
                f"{self.starts}, {self.span} and "
                f"{len(self.floors)} floors"
            )


@dataclass(frozen=True, eq=False)
class CostTable:
    """The costs of one part of a network.

    Attributes:
        columns: The genes it depends on, as columns of the choices.
        strides: Distance in the index of one option of each gene from the next.
        values: One (entries,) array a cost.
    """

    columns: tuple[int, ...]
    strides: tuple[int, ...]
    values: tuple[NDArray[np.float64], ...]


@dataclass(frozen=True, eq=False)
class CostChain:
    """Chain in which a cost adds up along a network, for a space that `HasCostChain`: a part
    depends on what all share, on its own link, on that of the part before, and on genes of its own,
    which `repair` leaves alone.

    Attributes:
        cost: Index of the cost among the tables' costs.
        shared: Genes that every part may depend on.
        links: Link of each part, the gene that the next one depends on too; None where it is no
            gene. `repair` may raise it to the least option that the link before allows, and does
            nothing else.
        parts: The tables of each part.
    """

    cost: int
    shared: tuple[int, ...]
    links: tuple[int | None, ...]
    parts: tuple[tuple[CostTable, ...], ...]


class SearchSpace(Protocol):
    """A set of networks, described by genes, that one supernet contains."""

    @property
    def name(self) -> str:
        """Name by which `searchspaces.load` finds the space: "NAME" or "NAME:PRESET"."""
        ...

    @property
    def genes(self) -> tuple[Gene, ...]:
        """Fixed order, outermost decision first."""
        ...

    @property
    def published(self) -> Mapping[str, Architecture]:
        """The papers' own results as architectures, by their published name; may be empty."""
        ...

    def repair(self, choices: Choices) -> Choices:
        """(n, g) -> (n, g): valid and canonical, vectorised, idempotent.

        Two rows that build the same network become the same row: inactive genes are set to option
        0. Genes that only decoding sees stay as they are.
        """
        ...

    def costs(self, choices: Choices) -> Mapping[str, NDArray[np.float64]]:
        """(n, g) -> {"macs": (n,), "params": (n,), ...}: exact, vectorised, no module built."""
        ...

    def build_supernet(self) -> nn.Module:
        """The largest network, freshly initialised from torch's global generator.

        Its forward is `supernet(inputs, architecture, *, dropout=0.0, drop_connect=0.0)` and runs
        the subnet on views of the big weights, normalising with batch statistics.
        """
        ...

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        """A stand-alone network with its own weights, copied from `supernet`; None: freshly
        initialised for training alone.

        Its forward is `subnet(inputs)`; its normalisation layers are torch's own, so that
        recalibration and export know them.
        """
        ...


@dataclass(frozen=True)
class Graph:
    """A network, or a part of one, as something that runs elsewhere on its own.

    Attributes:
        module: Takes the inputs one by one and returns a tensor or a tuple of them.
        inputs: (size, generator) -> random inputs, each with a first dimension that may vary; it is
            `size`, or what fits that.
        input_names: A name for each input, in the module's order.
        output_names: A name for each output, in the module's order.
    """

    module: nn.Module
    inputs: Callable[[int, torch.Generator], tuple[torch.Tensor, ...]]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]


@runtime_checkable
class RunsInParts(Protocol):
    """A stand-alone network that runs as several graphs, one after the other."""

    def graphs(self, input_shape: tuple[int, ...]) -> Mapping[str, Graph]:
        """Its graphs by name, in their order, for images of a shape (channels, height, width)."""
        ...


@runtime_checkable
class HasDecodingGenes(Protocol):
    """A space with genes that say how a network's output is read, such as a threshold, and change
    nothing about the network.
    """

    @property
    def decoding_genes(self) -> tuple[str, ...]:
        """Names of the decoding genes; not all of the space's genes."""
        ...


@runtime_checkable
class HasLevels(Protocol):
    """A space that offers the complexity levels which its authors trained with."""

    @property
    def levels(self) -> ComplexityLevels | None:
        """The levels; None where they are to be derived from the space's costs."""
        ...


@runtime_checkable
class HasCostChain(Protocol):
    """A space whose costs add up along a chain, so that networks of a budget are drawn exactly."""

    def cost_chain(self, cost: str) -> CostChain:
        """The chain of one of its costs."""
        ...


@runtime_checkable
class HasPreferenceGenes(Protocol):
    """A space that says by which genes trained subnets are compared."""

    @property
    def preference_genes(self) -> tuple[Sequence[str], Sequence[str]]:
        """Names of its genes of width, and of depth."""
        ...


@runtime_checkable
class BuildsNetworks(Protocol):
    """A part of a joint space that builds networks; one that describes hardware does not."""

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        """Extracts the subnet, as `SearchSpace.build_subnet`, also without a supernet."""
        ...


def builds(part: object) -> TypeGuard[SearchSpace]:
    """True for a part of a joint space that builds networks."""
    return isinstance(part, BuildsNetworks)


def decoding_columns(space: SearchSpace) -> list[int]:
    """Indices of the genes that only decoding sees; empty for most spaces."""
    if not isinstance(space, HasDecodingGenes):
        return []
    names = set(space.decoding_genes)
    return [column for column, gene in enumerate(space.genes) if gene.name in names]


def key_array(space: SearchSpace, choices: Choices) -> Keys:
    """(n,) text ids, as ASCII bytes, of rows that `repair` has already made canonical.

    A gene takes as many base-36 digits as its number of options needs: one up to 36, two up to
    1296, three up to 46,656.
    """
    longest = max((len(gene.options) for gene in space.genes), default=1)
    if longest <= 36:
        digits = choices
    else:
        places = [
            (i, 36**place)
            for i, gene in enumerate(space.genes)
            for place in reversed(range(_num_digits(len(gene.options))))
        ]
        columns, weights = np.array([i for i, _ in places]), np.array([w for _, w in places])
        digits = choices[:, columns] // weights % 36
    if digits.size == 0:
        return np.zeros(len(digits), dtype=f"S{max(1, digits.shape[1])}")
    return np.frombuffer(_DIGITS[digits].tobytes(), dtype=f"S{digits.shape[1]}")


def canonical_keys(space: SearchSpace, choices: Choices) -> list[str]:
    """`key_array` as texts."""
    return [key.decode() for key in key_array(space, choices).tolist()]


def _num_digits(num_options: int) -> int:
    return 1 if num_options <= 36 else 2 if num_options <= 36**2 else 3


def architectures(space: SearchSpace, choices: Choices) -> list[Architecture]:
    """Canonical architectures of the rows of `choices` (n, g), repaired first."""
    repaired = space.repair(np.atleast_2d(np.asarray(choices, dtype=np.int16)))
    keys = canonical_keys(space, repaired)
    return [
        Architecture(space.name, tuple(row), key)
        for row, key in zip(repaired.tolist(), keys, strict=True)
    ]


def architecture_of(space: SearchSpace, options: Mapping[str, Option]) -> Architecture:
    """The architecture with these options by gene name; genes not named take option 0.

    Raises:
        ValueError: A gene or an option is unknown.
    """
    names = [gene.name for gene in space.genes]
    choices = np.zeros((1, len(names)), dtype=np.int16)
    for name, option in options.items():
        if name not in names:
            raise ValueError(f"space {space.name!r} has no gene {name!r}; {nearest(name, names)}")
        gene = space.genes[names.index(name)]
        if option not in gene.options:
            raise ValueError(
                f"gene {name!r} has no option {option!r}; it has "
                f"{', '.join(map(str, gene.options))}"
            )
        choices[0, names.index(name)] = gene.options.index(option)
    return architectures(space, choices)[0]


def options_of(space: SearchSpace, architecture: Architecture) -> dict[str, Option]:
    """The chosen option of every gene, by name."""
    return {
        gene.name: gene.options[c]
        for gene, c in zip(space.genes, architecture.choices, strict=True)
    }


def smallest(space: SearchSpace) -> Architecture:
    """The network of every gene's first option."""
    return architectures(space, np.zeros((1, len(space.genes)), dtype=np.int16))[0]


def largest(space: SearchSpace) -> Architecture:
    """The network of every gene's last option."""
    last = np.array([[len(gene.options) - 1 for gene in space.genes]], dtype=np.int16)
    return architectures(space, last)[0]


def space_size(space: SearchSpace) -> int:
    """Number of rows of choices, before `repair` makes some of them equal."""
    return int(np.prod([len(gene.options) for gene in space.genes], dtype=object))


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of an error message: the nearest of `known`, then all of them."""
    names: Sequence[str] = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}there is {', '.join(names) if names else 'none'}"


def as_json(architecture: Architecture, space: SearchSpace) -> dict[str, Any]:
    """Content of `architecture.json`: space, key, choices and options of the network."""
    return {
        "space": architecture.space,
        "key": architecture.key,
        "choices": list(architecture.choices),
        "options": options_of(space, architecture),
    }
