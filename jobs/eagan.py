"""EAGAN (Ying et al. 2022, arXiv:2111.15097): generators searched against one discriminator, then
discriminators against the best of them.

# digits at 16 px; minutes on two cores
evoray run eagan
# the paper's settings; a GPU
evoray run eagan --preset cifar10 --data.root DIR --inception FILE
evoray run eagan --preset stl10 --data.root DIR
python -m jobs.eagan --discriminators.pairing averaged
"""

from __future__ import annotations

import dataclasses
import sys

from evoray.training.gan import config as recipes
from evoray.training.gan.config import GanConfig, StageConfig
from jobs import cli
from jobs.pipelines.gan.config import (
    DiscriminatorOptions,
    FinalOptions,
    GanSearch,
    GeneratorOptions,
    ScoreOptions,
)
from jobs.pipelines.options import DataOptions

PIPELINE = "jobs.pipelines.gan.pipeline"


def digits() -> GanSearch:
    """scikit-learn's digits at 16 pixels, both networks a twentieth as wide as the paper's, scored
    by a classifier of digits.
    """
    first = GanConfig(
        generator_rate=2e-3, discriminator_rate=2e-3, generator_batch=32, discriminator_batch=32
    )
    second = dataclasses.replace(
        first, generator_rate=1e-3, discriminator_rate=1e-3, critic_steps=2
    )
    return GanSearch(
        data=DataOptions(name="digits", image_size=16),
        generators=GeneratorOptions(
            space="eagan:generator-digits",
            channels=12,
            population=8,
            train=StageConfig(
                gan=first,
                warmup_epochs=8.0,
                rounds=5,
                epochs=3.0,
                log_every_steps=20,
                checkpoint_every_seconds=20.0,
            ),
        ),
        discriminators=DiscriminatorOptions(
            space="eagan:discriminator-digits",
            channels=12,
            population=8,
            train=StageConfig(
                gan=second,
                warmup_epochs=2.0,
                rounds=5,
                epochs=3.0,
                log_every_steps=20,
                checkpoint_every_seconds=20.0,
            ),
        ),
        final=FinalOptions(
            epochs=20.0,
            gan=dataclasses.replace(first, average_decay=0.99),
            num_images=2000,
            log_every_steps=20,
            checkpoint_every_seconds=20.0,
        ),
        measure=ScoreOptions(num_images=1000, calibration_images=512),
    )


def cifar10() -> GanSearch:
    """The paper's search on CIFAR-10, and the final training of the pair it finds."""
    return GanSearch(
        data=DataOptions(name="cifar10"),
        final=FinalOptions(epochs=600.0, gan=recipes.final_cifar10()),
        measure=ScoreOptions(classifier_epochs=10),
    )


def stl10() -> GanSearch:
    """The same on STL-10 at 48 pixels; the paper itself transfers what it finds on CIFAR-10."""
    return GanSearch(
        data=DataOptions(name="stl10"),
        generators=GeneratorOptions(space="eagan:generator-stl10"),
        discriminators=DiscriminatorOptions(space="eagan:discriminator-stl10"),
        final=FinalOptions(epochs=600.0, gan=recipes.final_stl10()),
    )


def released() -> GanSearch:
    """CIFAR-10 as the released code has it where that differs from the paper: its plain
    discriminator, its selector and its operators.
    """
    first = StageConfig(gan=recipes.stage_one_released(), warmup_epochs=41.0, rounds=16)
    second = StageConfig(gan=recipes.stage_two(), warmup_epochs=41.0, rounds=15)
    return dataclasses.replace(
        cifar10(),
        generators=GeneratorOptions(
            opponent="plain", selector="cars", train=first, crossover_probability=0.5
        ),
        discriminators=DiscriminatorOptions(
            selector="cars", train=second, crossover_probability=0.5
        ),
    )


PRESETS = {"digits": digits, "cifar10": cifar10, "stl10": stl10, "released": released}


def main() -> None:
    """The job with the command line's options."""
    cli.main(["run", "eagan", *sys.argv[1:]])


if __name__ == "__main__":
    main()
