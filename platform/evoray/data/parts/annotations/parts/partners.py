"""Annotations and detections of the same images, brought together by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from evoray.data.parts.annotations.parts.members import key
from objectives.parts.text.regions import Detection, ImageRegions


def partners(
    truth: Sequence[ImageRegions],
    found: Mapping[str, Sequence[Detection]],
    *,
    missing_is_empty: bool = False,
) -> tuple[list[ImageRegions], dict[str, Sequence[Detection]]]:
    """The same under the names by which they meet, without folders, suffixes and the prefixes of
    data sets.

    Args:
        truth: Annotations.
        found: Detections by image.
        missing_is_empty: An image without detections has none; else it is an error.

    Raises:
        ValueError: An image lacks its partner; says on which side. Or two have one name.
    """
    images = _by_key([image.image for image in truth], "annotations")
    detected = _by_key(found, "detections")
    _refuse([detected[name] for name in sorted(detected.keys() - images.keys())], "annotations")
    if not missing_is_empty:
        lacking = [images[name] for name in sorted(images.keys() - detected.keys())]
        _refuse(lacking, "detections", "; --missing-is-empty counts them as nothing found")
    return (
        [ImageRegions(key(image.image), image.regions) for image in truth],
        {name: found[detected[name]] for name in detected},
    )


def _by_key(names: Iterable[str], side: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        if key(name) in found:
            raise ValueError(
                f"{side}: {found[key(name)]!r} and {name!r} are both of the image {key(name)!r}"
            )
        found[key(name)] = name
    return found


def _refuse(names: Sequence[str], side: str, advice: str = "") -> None:
    if names:
        raise ValueError(
            f"{len(names)} images have no {side}: {', '.join(names[:3])}"
            f"{', ...' if len(names) > 3 else ''}{advice}"
        )
