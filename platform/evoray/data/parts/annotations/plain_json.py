"""Our own plain form, of annotations and of detections, one JSON file for a set:

    {"images": [{"image": "img_1.jpg",
                 "instances": [{"polygon": [[10, 5], [60, 8], [58, 20], [9, 18]],
                                "text": "EXIT", "ignore": false, "score": 0.9}]}]}

Only `image`, `instances` and `polygon` need to be there; corners are pixels of the original image,
x first. `ignore` is of annotations, `score` of detections; anything else is left unread.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evoray.data.parts.annotations.parts.coordinates import polygon, region
from evoray.data.parts.annotations.parts.documents import coordinates, document, has, item
from evoray.data.parts.annotations.parts.members import Member
from objectives.parts.text.regions import Detection, ImageRegions


def fits(members: Sequence[Member]) -> bool:
    """True where each is a JSON object with a list of images."""
    return all(has(member, "images") for member in members)


def read(members: Sequence[Member]) -> list[ImageRegions]:
    """The regions of each image, by the name that the file gives it; "don't care" ones of fewer
    than three corners are left out.

    Raises:
        ValueError: An entry is missing or wrong; names the file and the place.
    """
    found = []
    for image, instances in _images(members):
        regions = [
            region(
                corners,
                str(instance.get("text") or ""),
                instance.get("ignore", False) is True,
                where,
            )
            for where, instance, corners in instances
        ]
        found.append(ImageRegions(image, tuple(one for one in regions if one is not None)))
    return found


def read_detections(members: Sequence[Member]) -> dict[str, list[Detection]]:
    """The detections of each image.

    Raises:
        ValueError: A file cannot be read as `read` does, a score is not between 0 and 1, or an
            image is there twice.
    """
    found: dict[str, list[Detection]] = {}
    for image, instances in _images(members):
        if image in found:
            raise ValueError(f"{members[0].where}: the image {image!r} is there more than once")
        found[image] = []
        for where, instance, corners in instances:
            score = instance.get("score", 1.0)
            if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
                raise ValueError(f"{where}: a score needs to lie between 0 and 1, got {score!r}")
            found[image].append(Detection(polygon(corners, where), float(score)))
    return found


def detections_text(found: Mapping[str, Sequence[Detection]]) -> str:
    """Detections as a file of this form."""
    images = [
        {
            "image": image,
            "instances": [
                {"polygon": one.polygon.tolist(), "score": float(one.score)} for one in ones
            ],
        }
        for image, ones in found.items()
    ]
    return json.dumps({"images": images})


_Instance = tuple[str, dict[str, Any], list[float]]  # Any: JSON


def _images(members: Sequence[Member]) -> Iterator[tuple[str, list[_Instance]]]:
    for member in members:
        for place, image in enumerate(item(document(member), "images", list, member.where)):
            where = f"{member.where}, images[{place}]"
            name = item(image, "image", str, where)
            instances = []
            for number, instance in enumerate(item(image, "instances", list, where)):
                at = f"{where}.instances[{number}]"
                corners = coordinates(item(instance, "polygon", list, at), at)
                instances.append((at, instance, corners))
            yield name, instances
