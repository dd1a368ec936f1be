"""NASK-style text detection (Cao and Zou 2020, arXiv:2004.12436; Cao et al. 2021,
arXiv:2106.12720): a supernet of detectors that look twice, searched for F-measure and latency.

# generated text, minutes on a laptop
evoray run nask
# the second version, with rectangles that bend
evoray run nask --preset v2
# Total-Text; a GPU
evoray run nask --preset total_text --data.root DIR --run-dir RUN
"""

from __future__ import annotations

import sys
from dataclasses import replace

from evoray.training.config import TrainConfig
from evoray.training.recipe.text_augmentation import TextAugmentation
from jobs import cli
from jobs.pipelines.detection.config import DetectionSearch
from jobs.pipelines.options import ClusterOptions, DataOptions
from jobs.pipelines.supernet.config import MeasureOptions, SearchOptions

# The papers' schedules are unknown; hard labels, no dropout, and two subnets a step.
_RECIPE = TrainConfig(
    sampler="uniform",
    num_random=2,
    distillation=False,
    optimizer="adamw",
    schedule="cosine",
    floor=0.01,
    learning_rate=3e-3,
    weight_decay=1e-2,
    dropout=0.0,
    drop_connect=0.0,
    label_smoothing=0.0,
    crop_padding=0,
    batch_size=8,
)
_SEARCH = SearchOptions(
    searcher=("nsga2",),
    targets=("f50", "f_mean", "latency"),
    evaluations=32,
    population=8,
    shards=2,
)

PIPELINE = "jobs.pipelines.detection.pipeline"


def small(space: str = "nask_v1:small") -> DetectionSearch:
    """Generated text at 256 px; both trained and searched in minutes on two cores."""
    return DetectionSearch(
        space=space,
        data=DataOptions(name="text", image_size=256, limit=1000),
        train=replace(_RECIPE, epochs=4.0, warmup_epochs=0.2),
        augmentation=TextAugmentation(scale=(0.8, 1.25), degrees=5.0),
        search=_SEARCH,
        measure=MeasureOptions(calibration_images=64, validation_limit=48),
        cluster=ClusterOptions(train_workers=2, accuracy_workers=1, timeout_seconds=300.0),
    )


def v2() -> DetectionSearch:
    """The smallest preset with the second version's operators."""
    return small("nask_v2:small")


def total_text() -> DetectionSearch:
    """Total-Text at 640 px, in the first version's whole space; GPUs."""
    return DetectionSearch(
        space="nask_v1",
        data=DataOptions(name="total_text", image_size=640),
        train=replace(_RECIPE, epochs=300.0, warmup_epochs=3.0, learning_rate=1e-3, batch_size=16),
        augmentation=TextAugmentation(scale=(0.5, 3.0), degrees=10.0),
        search=replace(_SEARCH, evaluations=400, population=40),
        measure=MeasureOptions(calibration_images=512),
        cluster=ClusterOptions(train_workers=4, train_gpus=True, timeout_seconds=900.0),
    )


PRESETS = {"small": small, "v2": v2, "total_text": total_text}


def main() -> None:
    """The job with the command line's options."""
    cli.main(["run", "nask", *sys.argv[1:]])


if __name__ == "__main__":
    main()
