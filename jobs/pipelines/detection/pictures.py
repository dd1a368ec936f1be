"""Pictures of a finished search: what its best network finds on validation images, from the
detections that were kept when it was measured.
"""

from __future__ import annotations

import io
import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evoray.records.ledger import read_ledger
from evoray.records.run_folder import RunFolder
from evoray.report.text_gallery import MOST_BYTES, MOST_PICTURES, write_texts
from evoray.results import picking
from objectives.detection.kept import FILE, read_parquet
from objectives.parts.text.regions import Detection
from objectives.parts.text.source import TextSource, TextSplit

_log = logging.getLogger(__name__)

_VALUE = "f50"
_SIDE = 640  # pixels of a picture's longer side at most


def write_pictures(folder: RunFolder, source: TextSource) -> None:
    """Writes the pictures of the front's network with the best F-measure; nothing where no network
    is feasible, or its detections were not kept. Damaged ones are named.
    """
    table, listed = read_ledger(folder.ledger), folder.job()["values"]
    if table is None or not len(picking.front(table, listed)):
        return
    row = picking.pick(table, listed, f"best:{_VALUE}")
    file = folder.candidate_file(row["key"], "detection", FILE)
    if not file.is_file():
        return
    content = file.read_bytes()
    try:
        rectangles, polygons = (read_parquet(content, look) for look in (1, 2))
    except ValueError as error:
        _log.warning("%s is damaged (%s): the report has no pictures of texts", file, error)
        return
    split = source.open("val")
    places = {split.name(index): index for index in range(len(split))}
    names = [name for name in polygons if name in places][:MOST_PICTURES]
    pictures = [
        _picture(split, places[name], rectangles[name], polygons[name]) for name in sorted(names)
    ]
    names_of_values = (_VALUE, "f70", "f_mean", "f50_held_out")
    values = {name: row[name] for name in names_of_values if row.get(name) is not None}
    write_texts(folder, row["key"], values, pictures)


def _picture(
    split: TextSplit,
    index: int,
    rectangles: tuple[Detection, ...],
    polygons: tuple[Detection, ...],
) -> tuple[bytes, dict[str, Any]]:
    pixels = split.pixels(index)
    height, width = pixels.shape[1:]
    factor = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))

    def points(polygon: NDArray[np.float64]) -> list[list[float]]:
        return (polygon * factor).round(1).tolist()  # type: ignore[no-any-return]

    about = {
        "name": split.name(index),
        "width": size[0],
        "height": size[1],
        "truth": [
            {"points": points(one.polygon), "ignored": one.ignored} for one in split.regions(index)
        ],
        "rectangles": [points(one.polygon) for one in rectangles],
        "polygons": [points(one.polygon) for one in polygons],
    }
    return jpeg(pixels, size), about


def jpeg(pixels: NDArray[np.uint8], size: tuple[int, int]) -> bytes:
    """(3, h, w) -> a JPEG file of (width, height), small enough for a dozen in a page."""
    image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).resize(size)
    for quality in (85, 70, 50, 30):
        written = io.BytesIO()
        image.save(written, "JPEG", quality=quality)
        if written.tell() <= MOST_BYTES // MOST_PICTURES:
            break
    return written.getvalue()
