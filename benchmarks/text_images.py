"""Speed of making images of text: images a minute on one core; one JSON line.

    evoray bench text_images [--images 200] [--sizes 256 640] [--presets curved hard]

Every repeat makes other images; "layout" is the part that places texts and draws nothing. By the
clock and, as "core", by the time that the processor worked for this process.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

from benchmarks.parts.timing import spread
from evoray.data.parts.text.generator import Generator
from evoray.data.parts.text.presets import PRESETS
from evoray.data.text import build

REPEATS = 5


def rates(work: Callable[[int], Any], images: int) -> dict[str, dict[str, float]]:
    """Calls a minute: median, least and greatest of the repeats; the first one fills caches."""
    for index in range(min(images, 50)):
        work(index)
    clock, core = [], []
    for repeat in range(1, REPEATS + 1):
        started, worked = time.perf_counter(), time.process_time()
        for index in range(repeat * images, (repeat + 1) * images):
            work(index)
        clock.append(60 * images / (time.perf_counter() - started))
        core.append(60 * images / (time.process_time() - worked))
    return {"clock": spread(clock, 0), "core": spread(core, 0)}


def of(generator: Generator, images: int) -> dict[str, Any]:
    """Whole images, and their layouts alone."""
    return {
        "images": rates(generator.image, images),
        "layout": rates(generator.texts, images)["core"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=200, help="in each repeat")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 640], help="sides in pixels")
    parser.add_argument("--presets", nargs="+", choices=list(PRESETS), default=["curved"])
    options = parser.parse_args()
    line: dict[str, Any] = {"cores": os.cpu_count(), "images": options.images, "per": "minute"}
    for preset in options.presets:
        for size in options.sizes:
            source = build(image_size=size, preset=preset)
            line[f"{preset}@{size}"] = of(source.generator("train"), options.images)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
