"""Finds text in pictures of your own with a network of a detection search: polygons as JSON, and a
picture of each with them drawn in.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from PIL import Image, ImageDraw

from evoray.data.parts.annotations.plain_json import detections_text
from evoray.data.parts.pictures import Scale, whole
from evoray.files.atomic import replace_bytes
from evoray.records.run_folder import check_local
from jobs.pipelines.detection.detector import Detector
from jobs.pipelines.detection.pipeline import DetectionPipeline
from jobs.pipelines.opened import opened
from jobs.terminal.console import Terminal
from jobs.terminal.errors import user_input
from jobs.terminal.parsing import AS_RECORDED, Roots, call_on_run
from objectives.parts.text.regions import Detection

_COLOUR = (31, 119, 255)


def main(arguments: Sequence[str]) -> None:
    call_on_run(detect, arguments, prog="evoray detect")


def detect(
    run: Annotated[Path, tyro.conf.Positional],
    images: Annotated[tuple[Path, ...], tyro.conf.Positional],
    /,
    pick: str = "best:f50",
    out: Path | None = None,
    own: tuple[str, ...] = (),
    roots: Roots = AS_RECORDED,
) -> None:
    """Writes detections.json, polygons in pixels of the original pictures, and a PNG of each.

    Pictures are read as they are stored: what EXIF says of their orientation is ignored, as the
    public data sets of text want it.
    Where the run's data has moved, --data.root DIR says where it is now.

    Args:
        run: Run folder of a detection search.
        images: Pictures, one or more files.
        pick: Network: its key or the beginning of it, knee, or best:NAME of the front.
        out: Folder to write to; None for RUN/detected/KEY.
        own: Import paths of the run's own space and objectives, named again.
            Needed where they are elsewhere than at the start, or have changed since.
        roots: Folders of data that has moved, by option.
    """
    with user_input():
        if not images:
            raise ValueError("detect needs pictures: evoray detect RUN IMAGE...")
        doubled = sorted(
            {one.name for one in images if [i.name for i in images].count(one.name) > 1}
        )
        if doubled:
            raise ValueError(
                f"two pictures are called {doubled[0]}, and each result bears its picture's name: "
                "give them in two calls"
            )
        if out is not None:
            check_local(out, "--out")
        source = opened(run, own).with_data(roots)
        if not isinstance(source.pipeline, DetectionPipeline):
            raise ValueError(
                f"run {source.folder.path} of job {source.folder.job()['job']!r} searched no text "
                "detectors: detect is for `evoray run nask`"
            )
        pictures = {image.name: whole(image, Scale()) for image in images}
        (network,) = source.pipeline.exported_networks(source.folder, source.config, pick)
        detector = Detector.of(network, source.pipeline.build_setup(source.config).source)
        place = out or source.folder.inside("detected", network.architecture.key)
    found = {name: detector(pixels) for name, pixels in pictures.items()}
    console = Terminal()
    place.mkdir(parents=True, exist_ok=True)
    for name, pixels in pictures.items():
        file = place / f"{name}.png"
        _drawn(Image.fromarray(pixels), found[name]).save(file)
        console.print(f"{file}: {len(found[name])} texts")
    file = place / "detections.json"
    replace_bytes(file, (detections_text(found) + "\n").encode())
    console.print(str(file))


def _drawn(picture: Image.Image, found: Sequence[Detection]) -> Image.Image:
    """The picture with the outlines in it."""
    pen = ImageDraw.Draw(picture)
    width = max(1, round(max(picture.size) / 400))
    for one in found:
        corners = [(float(x), float(y)) for x, y in one.polygon]
        pen.line([*corners, corners[0]], fill=_COLOUR, width=width, joint="curve")
    return picture
