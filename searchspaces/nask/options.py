"""The options of a NASK space: which are possible, and the shapes that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from searchspaces.base import Option
from searchspaces.nask.plan import (
    GROUP_WIDTH,
    AlignShape,
    AttentionShape,
    FoxShape,
    Kernel,
    Operator,
    Placement,
)

NO_ATTENTION = "none"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The options of one stage of basic blocks.

    Attributes:
        widths: Output channels, ascending.
        depths: Numbers of blocks, ascending.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]

    def __post_init__(self) -> None:
        check_ascending("a stage's widths", self.widths)
        check_ascending("a stage's depths", self.depths)


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """The options of how a network's outputs are read; no network knows them.

    Attributes:
        points: Fiducial points along a text line.
        kernel_thresholds: Probability from which a cell belongs to a shrunk kernel.
        unclips: Factor by which rectangles of kernels grow: area x factor / perimeter.
        score_thresholds: Mean kernel probability from which a rectangle is looked at again.
        centre_thresholds: Probability from which a cell belongs to a text centre line.
    """

    points: tuple[int, ...] = (4, 5, 6, 7, 8, 10, 12)
    kernel_thresholds: tuple[float, ...] = (0.3,)
    unclips: tuple[float, ...] = (1.5, 2.0)
    score_thresholds: tuple[float, ...] = (0.3, 0.4, 0.5, 0.6, 0.7)
    centre_thresholds: tuple[float, ...] = (0.2, 0.3, 0.4, 0.5)

    @property
    def decisions(self) -> dict[str, tuple[Option, ...]]:
        """Options by gene."""
        return {
            "decode.fiducial_points": self.points,
            "decode.kernel_threshold": self.kernel_thresholds,
            "decode.unclip": self.unclips,
            "decode.score_threshold": self.score_thresholds,
            "decode.centre_line_threshold": self.centre_thresholds,
        }


def check_space(space: Any) -> None:  # Any: the space, which stands above this file
    """
    Raises:
        ValueError: An option of the space is impossible.
    """
    for what in ("resolutions", "stem_widths", "pyramid_widths", "groups", "samples"):
        check_ascending(f"{space.name}: {what}", getattr(space, what))
    for what in ("fox_widths", "fox_depths"):
        check_ascending(f"{space.name}: {what}", getattr(space, what))
    if len(space.stages) != 4:
        raise ValueError(
            f"{space.name} needs four stages, at strides 4, 8, 16 and 32, got {len(space.stages)}"
        )
    for what, widths in (("pyramid", space.pyramid_widths), ("fox", space.fox_widths)):
        if any(width % GROUP_WIDTH for width in widths):
            raise ValueError(
                f"{space.name}: {what} widths must be multiples of {GROUP_WIDTH}, the channels "
                f"that a group norm puts together, got {widths}"
            )
    known = {
        "placements": get_args(Placement),
        "kernels": get_args(Kernel),
        "operators": get_args(Operator),
        "convolutions": ("separable", "plain"),
    }
    for what, names in known.items():
        chosen = getattr(space, what)
        if not chosen or list(chosen) != [name for name in names if name in chosen]:
            raise ValueError(
                f"{space.name}: {what} must be at least one of {', '.join(names)}, in this order, "
                f"got {chosen}"
            )
    if not space.encoders or min(space.encoders) < 0 or not space.reductions:
        raise ValueError(
            f"{space.name} needs numbers of encoding layers of at least 0, and reductions, got "
            f"{space.encoders} and {space.reductions}"
        )
    if space.groups[0] != 1 or not all(0 < share <= 1 for share in space.reductions):
        raise ValueError(
            f"{space.name} needs reductions above 0 and up to 1, and groups that begin with 1, "
            f"which divides any width, got {space.reductions} and {space.groups}"
        )
    if space.in_channels < 1 or not space.roi_sizes:
        raise ValueError(
            f"{space.name}: in_channels must be at least 1, got {space.in_channels}, and roi_sizes "
            f"must be at least one, got {space.roi_sizes}"
        )
    for size in space.roi_sizes:
        rows_and_columns(size)


def rows_and_columns(size: str) -> tuple[int, int]:
    """ "16x64" -> (16, 64).

    Raises:
        ValueError: It is no such text, or its rows are no multiple of 4.
    """
    rows, _, columns = size.partition("x")
    if not (rows.isdecimal() and columns.isdecimal()) or int(rows) % 4 or not int(rows):
        raise ValueError(
            f"a RoI's size must be ROWSxCOLUMNS with rows a multiple of 4, such as 16x64, got "
            f"{size!r}"
        )
    return int(rows), int(columns)


def inner_width(width: int, reduction: float) -> int:
    """Channels inside attention on a map of `width` channels."""
    return max(1, round(width * reduction))


def allowed_groups(groups: int, options: Sequence[int], width: int, reduction: float) -> int:
    """The most of `options`, up to `groups`, that divide the channels of attention."""
    inner = inner_width(width, reduction)
    return max(g for g in options if g <= groups and width % g == 0 and inner % g == 0)


def attention_of(
    width: int, placement: Placement, reduction: float, groups: int, kernel: Kernel
) -> AttentionShape | None:
    """None where attention is placed nowhere; `groups` must divide its channels."""
    if placement == NO_ATTENTION:
        return None
    return AttentionShape(
        width=width,
        inner_width=inner_width(width, reduction),
        groups=groups,
        placement=placement,
        kernel=kernel,
    )


def align_of(width: int, size: str, operator: Operator, samples: int, encoder: int) -> AlignShape:
    """Shape of what turns a RoI into a map, on features of `width` channels."""
    return AlignShape(
        width=width,
        size=rows_and_columns(size),
        operator=operator,
        samples=samples,
        encoder=encoder,
    )


def fox_of(in_width: int, size: str, width: int, depth: int, convolution: str) -> FoxShape:
    """The head on a map of `in_width` channels."""
    return FoxShape(
        in_width=in_width,
        width=width,
        depth=depth,
        separable=convolution == "separable",
        size=rows_and_columns(size),
    )


def check_ascending(what: str, options: Sequence[float]) -> None:
    """
    Raises:
        ValueError: Options are not positive or do not ascend.
    """
    if not options or min(options) < 1 or list(options) != sorted(set(options)):
        raise ValueError(
            f"{what} must be at least one positive number, in ascending order without repeats, got "
            f"{options}"
        )
