"""The two cells. One class serves supernet and extracted network: it holds the options given to it,
and runs those a pass names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.eagan.operations import DOWN, KEEP, NORMAL, UP, Conv, down, normal, up

# b batch, c channels, h height, w width

Options = Mapping[str, Sequence[str]]  # by edge

UP_EDGES: dict[str, tuple[str, ...]] = {
    "in_a": UP,
    "in_b": UP,
    "a_mid": NORMAL,
    "b_mid": NORMAL,
    "a_out": NORMAL,
    "b_out": NORMAL,
    "mid_out": NORMAL,
}
DOWN_EDGES: dict[str, tuple[str, ...]] = {
    "in_n1": NORMAL[1:],
    "in_n2": NORMAL,
    "n1_n2": NORMAL,
    "n1_n3": NORMAL,
    "in_n3": NORMAL,
    "n2_out": (KEEP, *DOWN),
    "n3_out": DOWN,
}
_SKIP_MODES = (
    "",
    "bilinear",
    "nearest",
)  # how the cell of each position resizes what earlier cells hand on


class _Cell(nn.Module):
    edges: nn.ModuleDict

    def run(self, edge: str, option: str, x_bchw: Tensor) -> Tensor | None:
        """Applies an edge's operation to its input; None for "none"."""
        if option == "none":
            return None
        operation = self.edges[edge][option]  # type: ignore[index]  # each edge is a ModuleDict
        carried: Tensor = operation(x_bchw)
        return carried


def _edges(options: Options, make: Callable[[str, str], nn.Module]) -> nn.ModuleDict:
    held = {
        edge: nn.ModuleDict({o: make(edge, o) for o in names if o not in ("none", KEEP)})
        for edge, names in options.items()
    }
    return nn.ModuleDict(held)


def added(*parts: Tensor | None) -> Tensor:
    """The sum of what is there, never in place: an identity edge hands on the very tensor that
    other edges read.

    Raises:
        ValueError: Nothing is there.
    """
    there = [part for part in parts if part is not None]
    if not there:
        raise ValueError(
            "a node of the cell has no incoming edge: repair the choices before a network is built "
            "of them"
        )
    total = there[0]
    for part in there[1:]:
        total = total + part
    return total


class UpCell(_Cell):
    """A cell of the generator: two up-sampled copies a and b of the input, a middle node, the
    output.

    Gao et al. 2020 (AdversarialNAS, arXiv:1912.02037), figure 2; the skips between scales are fixed
    and enter the middle node.
    """

    def __init__(self, channels: int, position: int, options: Options) -> None:
        """`position` 0, 1 or 2; it says how many earlier cells there are."""
        super().__init__()
        self.edges = _edges(
            options,
            lambda edge, o: (
                up(o, channels) if edge in ("in_a", "in_b") else normal(o, channels, nn.Conv2d)
            ),
        )
        self.skips = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(position))
        self._mode = _SKIP_MODES[position]

    def forward(
        self, x_bchw: Tensor, chosen: Mapping[str, str], earlier: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """(b, c, h, w) -> middle node and output, (b, c, 2h, 2w) each; `earlier` are the middle
        nodes of the cells before.
        """
        a, b = self.run("in_a", chosen["in_a"], x_bchw), self.run("in_b", chosen["in_b"], x_bchw)
        assert a is not None
        assert b is not None
        side = a.shape[-2:]
        handed = [
            skip(F.interpolate(e, size=side, mode=self._mode))
            for skip, e in zip(self.skips, earlier, strict=True)
        ]
        mid = added(
            self.run("a_mid", chosen["a_mid"], a), self.run("b_mid", chosen["b_mid"], b), *handed
        )
        parts = (("a_out", a), ("b_out", b), ("mid_out", mid))
        return mid, added(*(self.run(edge, chosen[edge], node) for edge, node in parts))


class DownCell(_Cell):
    """A cell of the discriminator: three inner nodes; the second and third are brought down to half
    the side and added.
    """

    def __init__(self, channels: int, options: Options, conv: Conv) -> None:
        super().__init__()
        bare, halved = "in_n3", ("n2_out", "n3_out")
        self.edges = _edges(
            options,
            lambda edge, o: (
                down(o, channels, conv)
                if edge in halved
                else normal(o, channels, conv, relu=edge != bare)
            ),
        )

    def forward(self, x_bchw: Tensor, chosen: Mapping[str, str]) -> Tensor:
        """(b, c, h, w) -> (b, c, h / 2, w / 2), or (b, c, h, w) when n2_out is "keep"."""
        n1 = self.run("in_n1", chosen["in_n1"], x_bchw)
        assert n1 is not None
        n2 = added(
            self.run("in_n2", chosen["in_n2"], x_bchw), self.run("n1_n2", chosen["n1_n2"], n1)
        )
        n3 = added(
            self.run("n1_n3", chosen["n1_n3"], n1), self.run("in_n3", chosen["in_n3"], x_bchw)
        )
        if chosen["n2_out"] == KEEP:
            return n2 + n3
        return added(
            self.run("n2_out", chosen["n2_out"], n2), self.run("n3_out", chosen["n3_out"], n3)
        )
