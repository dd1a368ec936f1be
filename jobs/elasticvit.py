"""ElasticViT (Tang et al. 2023, arXiv:2303.09730): conflict-aware supernet training, then one
search for many budgets.

# handwritten digits, minutes on a laptop
evoray run elasticvit
# one GPU
evoray run elasticvit --preset cifar10 --data.root FOLDER
# the paper's space; a cluster with GPUs
evoray run elasticvit --preset imagenet --data.root DIR --run-dir RUN
"""

from __future__ import annotations

import sys
from dataclasses import replace

from evoray.training.config import TrainConfig
from jobs import cli
from jobs.pipelines.options import ClusterOptions, DataOptions
from jobs.pipelines.supernet.config import MeasureOptions, SearchOptions, SupernetSearch

# Three subnets of the step's level, whose mean teaches the level's smallest; no dropout, adaptive
# clipping, AdamW.
_RECIPE = TrainConfig(
    sampler="performance_aware",
    num_random=3,
    divergence="adaptive",
    optimizer="adamw",
    schedule="cosine",
    floor=0.01,
    weight_decay=0.05,
    dropout=0.0,
    drop_connect=0.0,
    clip_norm=0.0,
    adaptive_clip=0.1,
    conflict_every_steps=20,
)

PIPELINE = "jobs.pipelines.supernet.pipeline"


def digits() -> SupernetSearch:
    """The embedded digits at 32 px."""
    return SupernetSearch(
        space="elasticvit:digits",
        data=DataOptions(name="digits", image_size=32),
        train=replace(
            _RECIPE,
            epochs=20.0,
            batch_size=64,
            learning_rate=2e-3,
            warmup_epochs=1.0,
            crop_padding=4,
        ),
        search=_budgets("macs<=5e6", bins=6, evaluations=160, population=20),
        measure=MeasureOptions(calibration_images=512),
        cluster=ClusterOptions(train_workers=2, timeout_seconds=60.0),
    )


def cifar10() -> SupernetSearch:
    """CIFAR-10 at 24 to 32 px; one GPU, or a day of CPU."""
    return SupernetSearch(
        space="elasticvit:cifar",
        data=DataOptions(name="cifar10"),
        train=replace(
            _RECIPE,
            epochs=100.0,
            batch_size=256,
            learning_rate=2e-3,
            warmup_epochs=5.0,
            crop_padding=4,
            mirror=True,
        ),
        search=_budgets("macs<=1e8", bins=8, evaluations=600, population=50),
        measure=MeasureOptions(calibration_images=4096),
        cluster=ClusterOptions(train_workers=1, timeout_seconds=300.0),
    )


def imagenet() -> SupernetSearch:
    """The paper's space and schedule on ImageNet in folders, 16 workers of 96 images; the two
    teachers are yours to give.
    """
    return SupernetSearch(
        space="elasticvit",
        data=DataOptions(name="image_folder", image_size=224),
        train=replace(
            _RECIPE,
            epochs=610.0,
            batch_size=1536,
            learning_rate=1.5e-3,
            warmup_epochs=5.0,
            crop_padding=28,
            mirror=True,
            checkpoint_every_seconds=600.0,
            average_decay=0.99985,
            rand_augment=1,
            erasing=0.01,
        ),
        search=_budgets("macs<=8.2e8", bins=8, evaluations=10_752, population=256),
        measure=MeasureOptions(calibration_images=16_384),
        cluster=ClusterOptions(
            train_workers=16,
            min_train_workers=8,
            train_gpus=True,
            accuracy_workers=8,
            timeout_seconds=900.0,
        ),
    )


def _budgets(within: str, *, bins: int, evaluations: int, population: int) -> SearchOptions:
    """Constrained evolution whose parents are the best of each of `bins` ranges of
    multiply-accumulates: every budget in one run.
    """
    return SearchOptions(
        searcher=("constrained",),
        options=(f"bins={bins}", "bin_cost=macs", f"initial={2 * population}"),
        targets=("accuracy", "macs"),
        constraints=(within,),
        evaluations=evaluations,
        population=population,
        shards=1,
    )


PRESETS = {"digits": digits, "cifar10": cifar10, "imagenet": imagenet}


def main() -> None:
    """The job with the command line's options."""
    cli.main(["run", "elasticvit", *sys.argv[1:]])


if __name__ == "__main__":
    main()
