"""BigNAS (Yu et al. 2020, arXiv:2003.11142): the single-stage supernet, searched coarse to fine.

# CIFAR-10 at 24-32 px
evoray run bignas
# the paper's space and recipe; a cluster with GPUs
evoray run bignas --preset imagenet --data.root DIR --run-dir RUN
python -m jobs.bignas --preset digits
"""

from __future__ import annotations

import sys

from evoray.training.config import TrainConfig
from jobs import cli
from jobs.pipelines.options import ClusterOptions, DataOptions
from jobs.pipelines.supernet.config import MeasureOptions, SearchOptions, SupernetSearch

PIPELINE = "jobs.pipelines.supernet.pipeline"


def cifar10() -> SupernetSearch:
    """CIFAR-10 in the scaled space; one GPU, or hours of CPU."""
    return SupernetSearch(
        space="bignas:cifar",
        data=DataOptions(name="cifar10"),
        train=TrainConfig(
            epochs=60.0,
            batch_size=256,
            learning_rate=0.2,
            warmup_epochs=2.0,
            crop_padding=4,
            mirror=True,
        ),
        search=SearchOptions(
            searcher=("coarse_to_fine",),
            targets=("accuracy", "macs"),
            constraints=("macs<=1e7",),
            evaluations=360,
            population=32,
            shards=1,
        ),
        measure=MeasureOptions(calibration_images=4096),
        cluster=ClusterOptions(train_workers=1),
    )


def digits() -> SupernetSearch:
    """The embedded digits, coarse to fine; minutes on a laptop."""
    return SupernetSearch(
        space="bignas:digits",
        train=TrainConfig(epochs=40.0, batch_size=64, learning_rate=0.1, crop_padding=2),
        search=SearchOptions(
            searcher=("coarse_to_fine",),
            targets=("accuracy", "macs"),
            constraints=("macs<=1.5e6",),
            evaluations=200,
            population=20,
            shards=1,
        ),
        measure=MeasureOptions(calibration_images=512),
    )


def imagenet() -> SupernetSearch:
    """The paper's space on ImageNet in folders: 64 workers of 64 images, RMSProp at 0.256, 360
    epochs, floor at 5 %.
    """
    return SupernetSearch(
        space="bignas",
        data=DataOptions(name="image_folder", image_size=224),
        train=TrainConfig(
            epochs=365.0,
            batch_size=4096,
            optimizer="rmsprop",
            learning_rate=0.256,
            warmup_epochs=5.0,
            decay_epochs=2.4,
            weight_decay=1e-5,
            crop_padding=28,
            mirror=True,
            checkpoint_every_seconds=600.0,
        ),
        search=SearchOptions(
            searcher=("coarse_to_fine",),
            targets=("accuracy", "macs"),
            constraints=("macs<=1e9",),
            evaluations=1000,
            population=64,
            shards=1,
        ),
        measure=MeasureOptions(calibration_images=16384),
        cluster=ClusterOptions(
            train_workers=64,
            min_train_workers=48,
            train_gpus=True,
            accuracy_workers=8,
            timeout_seconds=900.0,
        ),
    )


PRESETS = {"cifar10": cifar10, "digits": digits, "imagenet": imagenet}


def main() -> None:
    """The job with the command line's options."""
    cli.main(["run", "bignas", *sys.argv[1:]])


if __name__ == "__main__":
    main()
