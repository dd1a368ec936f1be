"""ViT-ResNAS (Liao et al. 2021, arXiv:2109.00642): several sub-networks share each batch, then
evolution under a budget.

# handwritten digits, minutes on a laptop
evoray run vit_resnas
# one GPU
evoray run vit_resnas --preset cifar10 --data.root FOLDER
# the paper's tiny space; a cluster with GPUs
evoray run vit_resnas --preset imagenet --data.root DIR --run-dir RUN
"""

from __future__ import annotations

import sys
from dataclasses import replace

from evoray.training.config import TrainConfig
from jobs import cli
from jobs.pipelines.options import ClusterOptions, DataOptions
from jobs.pipelines.supernet.config import MeasureOptions, SearchOptions, SupernetSearch

# `num_random` sub-networks divide each worker's images, in one forward and backward; units are
# sorted while options open.
_RECIPE = TrainConfig(
    sampler="multi_architecture",
    distillation=False,
    optimizer="adamw",
    schedule="cosine",
    floor=0.01,
    weight_decay=0.05,
    dropout=0.0,
    drop_connect=0.0,
)
_LARGE = replace(_RECIPE, mixing="tokens", drop_connect=0.2, rand_augment=9, erasing=0.25)

PIPELINE = "jobs.pipelines.supernet.pipeline"


def digits() -> SupernetSearch:
    """The embedded digits at 32 px."""
    return SupernetSearch(
        space="vit_resnas:digits",
        data=DataOptions(name="digits", image_size=32),
        train=replace(
            _RECIPE,
            epochs=60.0,
            channel_sorting_epochs=15.0,
            batch_size=64,
            learning_rate=2e-3,
            warmup_epochs=2.0,
            crop_padding=4,
            num_random=8,
        ),
        search=_evolution("macs<=3.5e6", evaluations=160, population=20),
        measure=MeasureOptions(calibration_images=512),
        cluster=ClusterOptions(train_workers=2, timeout_seconds=60.0),
    )


def cifar10() -> SupernetSearch:
    """CIFAR-10 at 32 px; one GPU, or a day of CPU."""
    return SupernetSearch(
        space="vit_resnas:cifar",
        data=DataOptions(name="cifar10"),
        train=replace(
            _LARGE,
            epochs=120.0,
            channel_sorting_epochs=30.0,
            batch_size=256,
            learning_rate=1e-3,
            warmup_epochs=5.0,
            crop_padding=4,
            num_random=16,
            mirror=True,
        ),
        search=_evolution("macs<=6e7", evaluations=800, population=50),
        measure=MeasureOptions(calibration_images=4096),
        cluster=ClusterOptions(train_workers=1, timeout_seconds=300.0),
    )


def imagenet() -> SupernetSearch:
    """The paper's tiny space, schedule and augmentation on ImageNet in folders; crops are shifted,
    not resized.
    """
    return SupernetSearch(
        space="vit_resnas",
        data=DataOptions(name="image_folder", image_size=224),
        train=replace(
            _LARGE,
            epochs=120.0,
            channel_sorting_epochs=30.0,
            batch_size=1024,
            learning_rate=1e-3,
            warmup_epochs=5.0,
            crop_padding=28,
            num_random=16,
            mirror=True,
            checkpoint_every_seconds=600.0,
        ),
        search=_evolution("macs<=1.8e9", evaluations=3350, population=150),
        measure=MeasureOptions(calibration_images=16_384),
        cluster=ClusterOptions(
            train_workers=8, train_gpus=True, accuracy_workers=8, timeout_seconds=900.0
        ),
    )


def _evolution(within: str, *, evaluations: int, population: int) -> SearchOptions:
    """The most accurate network within a budget: three populations of samples, then mutants and
    crossovers of the top of the history.
    """
    return SearchOptions(
        searcher=("constrained",),
        targets=("accuracy", "macs"),
        constraints=(within,),
        evaluations=evaluations,
        population=population,
        shards=1,
    )


PRESETS = {"digits": digits, "cifar10": cifar10, "imagenet": imagenet}


def main() -> None:
    """The job with the command line's options."""
    cli.main(["run", "vit_resnas", *sys.argv[1:]])


if __name__ == "__main__":
    main()
