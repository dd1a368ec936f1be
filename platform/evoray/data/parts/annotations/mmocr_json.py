"""mmocr's `textdet_*.json`: a `data_list` of images, each with instances of a polygon of x and y in
turn and an `ignore` flag. It holds no transcriptions.
"""

from __future__ import annotations

from collections.abc import Sequence

from evoray.data.parts.annotations.parts.coordinates import region
from evoray.data.parts.annotations.parts.documents import coordinates, document, has, item
from evoray.data.parts.annotations.parts.members import Member
from objectives.parts.text.regions import ImageRegions


def fits(members: Sequence[Member]) -> bool:
    """True where each is a JSON object with a data list."""
    return all(has(member, "data_list") for member in members)


def read(members: Sequence[Member]) -> list[ImageRegions]:
    """The regions of each image, by its path.

    Raises:
        ValueError: An entry is missing or wrong; names the file and the place.
    """
    found = []
    for member in members:
        for place, image in enumerate(item(document(member), "data_list", list, member.where)):
            where = f"{member.where}, data_list[{place}]"
            name = item(image, "img_path", str, where)
            regions = []
            for number, instance in enumerate(item(image, "instances", list, where)):
                at = f"{where}.instances[{number}]"
                corners = coordinates(item(instance, "polygon", list, at), at)
                regions.append(region(corners, "", instance.get("ignore", False) is True, at))
            found.append(ImageRegions(name, tuple(one for one in regions if one is not None)))
    return found
