"""Detections of a candidate as a small Parquet file, so that pictures and other protocols need no
network.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from objectives.parts.text.decoding.settings import DecodingSettings
from objectives.parts.text.regions import Detection

FILE = "detections.parquet"
_MOST_BYTES = 900_000  # a candidate's files are small; of large splits the first images are kept
_SCHEMA = pa.schema(
    [
        ("image", pa.string()),
        ("look", pa.int8()),
        ("score", pa.float32()),
        ("polygon", pa.list_(pa.float32())),
    ]
)


def as_parquet(
    found: Mapping[str, Sequence[Sequence[Detection]]],
    settings: DecodingSettings,
    truth_digest: str,
) -> bytes:
    """The detections of the images, as many of the first ones as fit.

    Args:
        found: By the image's name: rectangles of the first look alone, polygons of both.
        settings: Settings by which they were decoded.
        truth_digest: Digest of the annotations that they were scored against.
    """
    images = list(found)
    while True:
        about = {
            "settings": json.dumps(asdict(settings)),
            "truth_digest": truth_digest,
            "images": json.dumps(images),
        }
        rows = [
            (name, look, one)
            for name in images
            for look, some in enumerate(found[name], start=1)
            for one in some
        ]
        table = pa.table(
            {
                "image": [name for name, _, _ in rows],
                "look": [look for _, look, _ in rows],
                "score": [one.score for _, _, one in rows],
                "polygon": [one.polygon.ravel().tolist() for _, _, one in rows],
            },
            schema=_SCHEMA.with_metadata(about),
        )
        written = io.BytesIO()
        pq.write_table(table, written, compression="zstd")
        if written.tell() <= _MOST_BYTES or len(images) <= 1:
            return written.getvalue()
        images = images[: max(1, len(images) * _MOST_BYTES // written.tell())]


def read_parquet(content: bytes, look: int = 2) -> dict[str, tuple[Detection, ...]]:
    """The detections by the image's name; images without any are there too.

    Args:
        content: Bytes of the file.
        look: 1 for rectangles of the first look alone, 2 for polygons of both.

    Raises:
        ValueError: It is no such file.
    """
    try:
        table = pq.read_table(io.BytesIO(content), schema=_SCHEMA)
        names: list[str] = json.loads((pq.read_schema(io.BytesIO(content)).metadata)[b"images"])
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"these are no kept detections: {error}") from None
    found: dict[str, list[Detection]] = {name: [] for name in names}
    for row in table.to_pylist():
        if row["look"] != look:
            continue
        polygon = np.asarray(row["polygon"], dtype=np.float64).reshape(-1, 2)
        found.setdefault(row["image"], []).append(Detection(polygon, row["score"]))
    return {name: tuple(some) for name, some in found.items()}
