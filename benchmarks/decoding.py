"""Time that decoding takes an instance on one core, and label maps a batch; one JSON line.

    evoray bench decoding [--rois 8] [--side 640] [--repeats 9]

Times are CPU seconds of this process, which other work on the machine does not lengthen. "dense" is
all that follows the first look (components, rectangles), "bands" puts the second look's cells in
order, "polygons" does all that a change of the number of fiducial points repeats, suppression
included. The peer is a second look that is decoded RoI by RoI. Texts are arcs, of which labels are
taken for a network's outputs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.parts.timing import interleaved, ratios, spread
from evoray.training.tasks.parts.text_labels import batch_labels
from evoray.training.tasks.parts.text_rois import roi_labels, training_rois
from objectives.parts.text.decoding.bands import bands, polygons
from objectives.parts.text.decoding.detections import Original, two_look_detections
from objectives.parts.text.decoding.proposals import as_rois, components, roi_rows
from objectives.parts.text.decoding.settings import DecodingSettings
from objectives.parts.text.regions import TextRegion

SIZES = ((16, 64), (32, 128))


def arcs(count: int, side: int) -> list[TextRegion]:
    """`count` curved texts on a square image, apart from each other."""
    across = int(np.ceil(np.sqrt(count)))
    cell = side / across
    angle = np.deg2rad(np.linspace(215, 325, 8))
    ray = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found = []
    for index in range(count):
        middle = np.array([index % across + 0.5, index // across + 0.9]) * cell
        ring = np.concatenate([0.55 * ray, 0.35 * ray[::-1]]) * cell + middle
        found.append(TextRegion(ring))
    return found


def cpu_seconds(call: Callable[[], object]) -> float:
    """CPU time of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def decoding(
    regions: list[TextRegion], side: int, size: tuple[int, int], repeats: int
) -> dict[str, object]:
    """Milliseconds an instance of each step, and the peer's ratio."""
    settings, original = DecodingSettings(), Original(side, side)
    maps, lines = batch_labels([regions], (side, side))
    kernel = maps.kernel[0].numpy() * np.float32(0.9)
    found = components(kernel, settings)
    rois = as_rois(found, settings)
    labels = roi_labels(lines, torch.from_numpy(roi_rows([rois])), size)
    band: NDArray[np.float32] = labels.band.numpy()
    geometry = labels.as_geometry().numpy()[:, 1:]
    second = bands(band, geometry, 0.5)
    count = len(rois)

    def one_by_one() -> None:
        for at in range(count):
            some = slice(at, at + 1)
            polygons(bands(band[some], geometry[some], 0.5), rois[some], 8)

    ways = {
        "dense": lambda: as_rois(components(kernel, settings), settings),
        "bands": lambda: bands(band, geometry, 0.5),
        "polygons": lambda: two_look_detections(found, rois, second, original, settings),
        "together": lambda: polygons(bands(band, geometry, 0.5), rois, 8),
        "one by one": one_by_one,
    }
    times = interleaved({name: partial(cpu_seconds, call) for name, call in ways.items()}, repeats)
    each = {name: [1e3 * value / count for value in values] for name, values in times.items()}
    whole = [sum(parts) for parts in zip(*(each[n] for n in list(ways)[:3]), strict=True)]
    return {
        "instances": count,
        "ms_per_instance": {name: spread(each[name], 3) for name in list(ways)[:3]},
        "ms_per_instance_whole": spread(whole, 3),
        "one_by_one_over_together": ratios(each["one by one"], each["together"]),
    }


def labels_of_batch(regions: list[TextRegion], side: int, repeats: int) -> dict[str, float]:
    """Milliseconds of all labels of a batch of eight images."""
    rng = np.random.default_rng(0)

    def both() -> None:
        _, lines = batch_labels([regions] * 8, (side, side))
        rois = torch.from_numpy(training_rois(lines, np.zeros((0, 7)), rng))
        roi_labels(lines, rois, SIZES[0])

    times = interleaved({"labels": lambda: cpu_seconds(both)}, repeats)
    return spread([1e3 * value for value in times["labels"]], 1)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rois", type=int, default=8)
    parser.add_argument("--side", type=int, default=640)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    line: dict[str, object] = {"benchmark": "decoding", "side": options.side, "threads": 1}
    for size in SIZES:
        decoding(arcs(options.rois, options.side), options.side, size, 1)  # warms up
        line[f"{size[0]}x{size[1]}"] = decoding(
            arcs(options.rois, options.side), options.side, size, options.repeats
        )
    line["labels_of_8_images_256px_4_texts_ms"] = labels_of_batch(
        arcs(4, 256), 256, options.repeats
    )
    print(json.dumps(line))


if __name__ == "__main__":
    main()
