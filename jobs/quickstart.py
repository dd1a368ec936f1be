"""Quickstart: a small BigNAS supernet on handwritten digits, trained and searched in minutes on a
laptop.

evoray run quickstart
evoray run quickstart --data cifar10 --data.root FOLDER --space bignas:cifar
python -m jobs.quickstart --search.evaluations 64 --run-dir runs/small
"""

from __future__ import annotations

import sys

from evoray.training.config import TrainConfig
from jobs import cli
from jobs.pipelines.options import ClusterOptions, DataOptions
from jobs.pipelines.supernet.config import MeasureOptions, SearchOptions, SupernetSearch

PIPELINE = "jobs.pipelines.supernet.pipeline"


def digits() -> SupernetSearch:
    """scikit-learn's digits; two training workers, two population shards, under four minutes on two
    cores.
    """
    return SupernetSearch(
        space="bignas:digits",
        data=DataOptions(name="digits"),
        train=TrainConfig(epochs=32.0, batch_size=64, learning_rate=0.1, crop_padding=2),
        search=SearchOptions(
            searcher=("predictor",),
            targets=("accuracy", "latency", "params"),
            constraints=("macs<=1.5e6",),
            evaluations=160,
            population=8,
            shards=2,
        ),
        measure=MeasureOptions(calibration_images=512),
        cluster=ClusterOptions(train_workers=2, timeout_seconds=60.0),
    )


PRESETS = {"digits": digits}


def main() -> None:
    """The job with the command line's options."""
    cli.main(["run", "quickstart", *sys.argv[1:]])


if __name__ == "__main__":
    main()
