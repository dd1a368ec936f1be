"""Scores anyone's detections of text against annotations, by a protocol of the field."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table

from evoray.data.parts.annotations import read_annotations
from evoray.data.parts.annotations.parts.detections import read_detections
from evoray.data.parts.annotations.parts.partners import partners
from jobs.terminal.console import Terminal
from jobs.terminal.errors import user_input
from jobs.terminal.parsing import call
from objectives.detection import Scores, protocols, score

_PATH = Annotated[Path, tyro.conf.Positional]


def main(arguments: Sequence[str]) -> None:
    call(score_files, arguments, prog="evoray score")


def score_files(
    truth: _PATH,
    found: _PATH,
    /,
    protocol: str = "icdar2015",
    format: str = "",
    missing_is_empty: bool = False,
    json: bool = False,
) -> None:
    """Prints recall, precision and their harmonic mean of detections of text.

    Args:
        truth: Annotations: a folder, a zip archive or a file.
        found: Detections: a folder or a zip archive of text files, x1,y1,x2,y2,... a line, or one
            JSON file.
        protocol: icdar2015, ctw1500, ctw1500_original, deteval (deteval:0.8,0.4), pascal, tiou,
            f_mean, or f:T for another threshold of IoU.
        format: Form of the annotations: ctw1500, icdar2015, mmocr_json, plain_json, polygons,
            synthtext, total_text. Recognised where it is not given.
        missing_is_empty: Images without a file of detections count as nothing found, as the
            protocols' own scripts have it; else they are an error.
        json: Print one JSON object, with the values of each image.
    """
    with user_input():
        protocols.load(protocol)
        regions, detections = partners(
            read_annotations(truth, format),
            read_detections(found),
            missing_is_empty=missing_is_empty,
        )
        scores = score(regions, detections, protocol)
    if json:
        print(_document(scores))
    else:
        _print(scores, Terminal())


def _document(scores: Scores) -> str:
    images = {name: vars(values) for name, values in scores.images.items()}
    return json.dumps({**vars(scores), "counts": dict(scores.counts), "images": images})


def _print(scores: Scores, console: Terminal) -> None:
    table = Table("recall", "precision", "hmean", title=f"protocol {scores.protocol}")
    table.add_row(*(f"{v:.4f}" for v in (scores.recall, scores.precision, scores.hmean)))
    console.print(table)
    counts = ", ".join(f"{name} {number}" for name, number in scores.counts.items())
    console.print(f"{len(scores.images)} images: {counts}")
    console.print(f"ground truth {scores.truth_digest}")
