"""Speed of scoring detections of text, beside loops over pairs with shapely; one JSON line.

    evoray bench detection_scores --data DIR [--repeats 5]

DIR holds the real ground truths and public detections: research_only/ctw1500_test_gt.zip and
ctw1500_pred_textperceptron.zip (curved lines), icdar2015_test_gt.zip and
icdar2015_pred_pixellink.zip (quadrilaterals). Every way starts with arrays of corners and ends with
the matches at IoU above 0.5; all run in turn in one process, CPU seconds count.

- "ours": ground truth, overlaps, matches; "again": the ground truth is ready, as in a search.
- "pairs": a loop over all pairs of each image, every polygon built and repaired once.
- "rebuilt": a loop that builds both polygons and unites them for every pair, as scripts in use do.
- "quadrilaterals": the areas that overlapping pairs share alone, both sides built before.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from benchmarks.parts.timing import interleaved, ratios, spread
from evoray.data.parts.annotations import read_annotations
from evoray.data.parts.annotations.parts.detections import read_detections
from evoray.data.parts.annotations.parts.partners import partners
from objectives.detection import GroundTruth, prepared
from objectives.detection.matching import one_to_one
from objectives.parts.text.intersections import areas_shared
from objectives.parts.text.regions import Detection, ImageRegions

Found = Mapping[str, Sequence[Detection]]
Truth = Sequence[ImageRegions]


def read(truth: Path, found: Path) -> tuple[Truth, Found]:
    """A set of files."""
    return partners(read_annotations(truth), read_detections(found))


def ours(truth: Truth | GroundTruth, found: Found) -> int:
    """Matches of the whole set at once."""
    return len(one_to_one(prepared(truth, found), 0.5))


def pairs(truth: Truth, found: Found) -> int:
    """Matches by a loop over pairs; each polygon is built and repaired once."""
    return _looped(truth, found, _built, _shared_of_built)


def rebuilt(truth: Truth, found: Found) -> int:
    """Matches by a loop that builds, repairs and unites both polygons of every pair."""
    return _looped(truth, found, np.asarray, _united)


def _looped(
    truth: Truth,
    found: Found,
    build: Callable[[Any], Any],
    iou: Callable[[Any, Any], float],
) -> int:
    matches = 0
    for image in truth:
        regions = [build(region.polygon) for region in image.regions]
        detections = [build(one.polygon) for one in found[image.image]]
        values = [[iou(region, detection) for detection in detections] for region in regions]
        free = set(range(len(detections)))
        for row in values:
            hit = next((j for j, value in enumerate(row) if value > 0.5 and j in free), None)
            if hit is not None:
                free.remove(hit)
                matches += 1
    return matches


def _built(polygon: Any) -> tuple[Any, float]:
    ring = shapely.Polygon(polygon)
    x, y = polygon.T
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    return ring if ring.is_valid else shapely.make_valid(ring), float(area)


def _shared_of_built(region: Any, detection: Any) -> float:
    shared = region[0].intersection(detection[0]).area
    union = region[1] + detection[1] - shared
    return float(shared / union) if union > 0 else 0.0


def _united(region: Any, detection: Any) -> float:
    first, second = (shapely.make_valid(shapely.Polygon(ring)) for ring in (region, detection))
    union = first.union(second).area
    return float(first.intersection(second).area / union) if union > 0 else 0.0


def quadrilaterals(truth: Truth, found: Found) -> dict[str, Callable[[], Any]]:
    """Both ways to the areas that overlapping pairs share."""
    those = prepared(truth, found)
    first, second = those.truth.polygons, those.found
    shapes = [list(polygons.shapes()) for polygons in (first, second)]
    i, j = those.i.tolist(), those.j.tolist()

    def shapely_loop() -> list[float]:
        return [
            shapes[0][one].intersection(shapes[1][other]).area
            for one, other in zip(i, j, strict=True)
        ]

    return {
        "ours": lambda: areas_shared(first, second, those.i, those.j),
        "shapely_loop": shapely_loop,
    }


def cpu_seconds(work: Callable[[], Any]) -> float:
    """CPU time of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def timed(ways: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each way in each repeat; the first round of all does not count."""
    for way in ways.values():
        way()
    return interleaved({name: partial(cpu_seconds, way) for name, way in ways.items()}, repeats)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the archives")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    curved = options.data / "research_only"
    truth, found = read(curved / "ctw1500_test_gt.zip", curved / "ctw1500_pred_textperceptron.zip")
    ready = GroundTruth.of(truth)
    ways: dict[str, Callable[[], Any]] = {
        "ours": lambda: ours(truth, found),
        "again": lambda: ours(ready, found),
        "pairs": lambda: pairs(truth, found),
        "rebuilt": lambda: rebuilt(truth, found),
    }
    matches = {name: way() for name, way in ways.items()}
    seconds = timed(ways, options.repeats)
    quads = quadrilaterals(
        *read(options.data / "icdar2015_test_gt.zip", options.data / "icdar2015_pred_pixellink.zip")
    )
    difference = float(np.abs(quads["ours"]() - np.array(quads["shapely_loop"]())).max())
    quad_seconds = timed(quads, options.repeats)
    line = {
        "benchmark": "detection_scores",
        "regions": sum(len(image.regions) for image in truth),
        "detections": sum(len(ones) for ones in found.values()),
        "pairs": sum(len(image.regions) * len(found[image.image]) for image in truth),
        "matches": matches,
        "seconds": {name: spread(values, 4) for name, values in seconds.items()},
        "times_as_fast": {
            f"{name}_than_{peer}": ratios(seconds[peer], seconds[name])
            for name in ("ours", "again")
            for peer in ("pairs", "rebuilt")
        },
        "quadrilaterals": {
            "pairs": len(quads["ours"]()),
            "greatest_difference": difference,
            "seconds": {name: spread(values, 4) for name, values in quad_seconds.items()},
            "times_as_fast": ratios(quad_seconds["shapely_loop"], quad_seconds["ours"]),
        },
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
