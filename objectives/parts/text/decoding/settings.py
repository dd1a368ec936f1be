"""The numbers that decoding depends on, and the weights do not: a search may turn each of them."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class DecodingSettings:
    """Settings that turn maps into polygons. The papers' own are unknown; these are our defaults.

    Attributes:
        kernel_threshold: Kernel probability above which a pixel belongs to a component.
        unclip: Growth of a component's rectangle, by area * unclip / perimeter on every side.
        padding: Share of its length and width that a rectangle gains on every side as a RoI.
        min_pixels: Pixels of the map that a component has at least.
        max_proposals: Rectangles of an image at most, those of the highest score.
        score_threshold: Mean kernel probability of a component, at least.
        centre_line_threshold: Centre-line probability above which a cell belongs to the band.
        fiducial_points: Points of the centre line that a polygon is built on ("n").
        nms_iou: IoU of two polygons above which only the one of the higher score stays.
        containment: Share of the smaller polygon that lies inside another one; above it, again only
            the one of the higher score stays.
    """

    kernel_threshold: float = 0.3
    unclip: float = 2.0
    padding: float = 0.1
    min_pixels: int = 10
    max_proposals: int = 100
    score_threshold: float = 0.5
    centre_line_threshold: float = 0.5
    fiducial_points: int = 8
    nms_iou: float = 0.25
    containment: float = 0.8

    def __post_init__(self) -> None:
        for name in (
            "kernel_threshold",
            "score_threshold",
            "centre_line_threshold",
            "nms_iou",
            "containment",
        ):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} lies between 0 and 1, got {getattr(self, name)!r}")
        for name, least in (("min_pixels", 1), ("max_proposals", 1), ("fiducial_points", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is at least {least}, got {getattr(self, name)!r}")
        for name in ("unclip", "padding"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is 0 or above, got {getattr(self, name)!r}")

    @property
    def of_rois(self) -> tuple[tuple[str, float], ...]:
        """The settings that RoIs depend on: where they are equal, the second look is the same."""
        after = {
            "score_threshold",
            "centre_line_threshold",
            "fiducial_points",
            "nms_iou",
            "containment",
        }
        return tuple(
            (field.name, getattr(self, field.name))
            for field in fields(self)
            if field.name not in after
        )
