"""NASAIC (Yang et al. 2020, arXiv:2002.04116): the networks of two tasks and the heterogeneous chip
that runs them, searched together.

# digits and their strokes, minutes on a laptop
evoray run nasaic
# CIFAR-10 and nuclei, the paper's specs
evoray run nasaic --preset w1 --first.data.root DIR --second.data.root DIR
python -m jobs.nasaic --preset w3 --search.compare "nas then asic"
"""

from __future__ import annotations

import dataclasses
import sys

from evoray.training.config import TrainConfig
from jobs import cli
from jobs.pipelines.cosearch.config import (
    ChipOptions,
    CoSearch,
    JointSearchOptions,
    TaskData,
    TaskOptions,
)
from jobs.pipelines.options import ClusterOptions

PIPELINE = "jobs.pipelines.cosearch.pipeline"


def digits() -> CoSearch:
    """A classifier of digits and a segmenter of their strokes on one chip; minutes on two cores.

    Hard labels for all subnets: whether or not a block is left out, the same classifier reads what
    comes last, and the smaller networks learn it late from soft labels.
    """
    return CoSearch(
        space="nasaic:digits",
        first=TaskOptions(
            data=TaskData(name="digits"),
            train=TrainConfig(
                epochs=24.0,
                batch_size=32,
                learning_rate=0.1,
                crop_padding=1,
                distillation=False,
                dropout=0.0,
                label_smoothing=0.0,
            ),
        ),
        second=TaskOptions(
            data=TaskData(name="strokes"),
            train=TrainConfig(
                epochs=4.0,
                batch_size=32,
                learning_rate=0.1,
                crop_padding=0,
                distillation=False,
                dropout=0.0,
                label_smoothing=0.0,
            ),
        ),
        chip=ChipOptions(latency=1e4, energy=1.2e7, area=1e9),
        search=JointSearchOptions(evaluations=120, population=16),
        cluster=ClusterOptions(train_workers=1, timeout_seconds=60.0),
    )


def w1() -> CoSearch:
    """CIFAR-10 and nuclei segmentation under the paper's specs; a GPU, or hours of CPU."""
    return CoSearch(
        space="nasaic:w1",
        first=_cifar10(),
        second=_nuclei(),
        chip=_specs("W1"),
        search=_search(),
        cluster=_cluster(),
    )


def w2() -> CoSearch:
    """CIFAR-10 and STL-10 under the paper's specs; a GPU."""
    stl10 = TaskOptions(
        data=TaskData(name="stl10"),
        train=TrainConfig(
            epochs=80.0,
            batch_size=128,
            learning_rate=0.1,
            warmup_epochs=2.0,
            crop_padding=8,
            mirror=True,
        ),
        calibration_images=1024,
    )
    return CoSearch(
        space="nasaic:w2",
        first=_cifar10(),
        second=stl10,
        chip=_specs("W2"),
        search=_search(),
        cluster=_cluster(),
    )


def w3() -> CoSearch:
    """CIFAR-10 twice under the paper's specs, one supernet for both; a GPU, or hours of CPU."""
    return CoSearch(
        space="nasaic:w3",
        first=_cifar10(),
        second=_cifar10(),
        chip=_specs("W3"),
        search=_search(),
        cluster=_cluster(),
    )


def w1_cpu() -> CoSearch:
    """W1 for one core and an hour: without the widest networks, a fifth of CIFAR-10, few epochs;
    accuracies are those of short training.
    """
    return CoSearch(
        space="nasaic:w1-narrow",
        first=_short_cifar10(),
        second=_short_nuclei(),
        chip=_specs("W1"),
        search=_short_search(),
        cluster=_cluster(),
    )


def w2_cpu() -> CoSearch:
    """W2 for one core and an hour, see `w1_cpu`; STL-10's place takes any folder of photos, at its
    96 pixels.
    """
    return CoSearch(
        space="nasaic:w2-narrow",
        first=_short_cifar10(),
        second=_short_photos(),
        chip=_specs("W2"),
        search=_short_search(),
        cluster=_cluster(),
    )


def w3_cpu() -> CoSearch:
    """W3 for one core and an hour, see `w1_cpu`."""
    return CoSearch(
        space="nasaic:w3-narrow",
        first=_short_cifar10(),
        second=_short_cifar10(),
        chip=_specs("W3"),
        search=_short_search(),
        cluster=_cluster(),
    )


PRESETS = {
    "digits": digits,
    "w1": w1,
    "w2": w2,
    "w3": w3,
    "w1-cpu": w1_cpu,
    "w2-cpu": w2_cpu,
    "w3-cpu": w3_cpu,
}


def _cifar10() -> TaskOptions:
    recipe = TrainConfig(
        epochs=60.0,
        batch_size=256,
        learning_rate=0.2,
        warmup_epochs=2.0,
        crop_padding=4,
        mirror=True,
        distillation=False,
        dropout=0.0,
    )
    return TaskOptions(data=TaskData(name="cifar10"), train=recipe, calibration_images=4096)


def _nuclei() -> TaskOptions:
    recipe = TrainConfig(
        epochs=200.0,
        batch_size=8,
        learning_rate=0.05,
        warmup_epochs=10.0,
        crop_padding=0,
        label_smoothing=0.0,
    )
    return TaskOptions(data=TaskData(name="nuclei"), train=recipe, calibration_images=73)


def _short_cifar10() -> TaskOptions:
    """One uniform subnet a step: the networks that the specs allow are small, and the largest of a
    sandwich would take half of the time.
    """
    recipe = TrainConfig(
        epochs=12.0,
        batch_size=64,
        sampler="uniform",
        num_random=1,
        learning_rate=0.1,
        schedule="cosine",
        floor=0.01,
        crop_padding=4,
        mirror=True,
        distillation=False,
        dropout=0.0,
        drop_connect=0.0,
        label_smoothing=0.0,
    )
    data = TaskData(name="cifar10", limit=10_000)
    return TaskOptions(data=data, train=recipe, calibration_images=128, validation_limit=500)


def _short_photos() -> TaskOptions:
    recipe = dataclasses.replace(_short_cifar10().train, epochs=16.0, batch_size=32, crop_padding=8)
    return TaskOptions(
        data=TaskData(name="image_folder", image_size=96),
        train=recipe,
        calibration_images=64,
        validation_limit=250,
    )


def _short_nuclei() -> TaskOptions:
    recipe = TrainConfig(
        epochs=60.0,
        batch_size=4,
        sampler="uniform",
        num_random=1,
        learning_rate=0.05,
        schedule="cosine",
        floor=0.01,
        crop_padding=0,
        distillation=False,
        dropout=0.0,
        drop_connect=0.0,
        label_smoothing=0.0,
    )
    return TaskOptions(data=TaskData(name="nuclei"), train=recipe, calibration_images=32)


def _short_search() -> JointSearchOptions:
    return JointSearchOptions(evaluations=240, population=16)


def _specs(workload: str) -> ChipOptions:
    from objectives.asic.specs import WORKLOADS  # the cost models behind it take seconds to import

    specs = WORKLOADS[workload]
    return ChipOptions(latency=specs.latency, energy=specs.energy, area=specs.area)


def _search() -> JointSearchOptions:
    return JointSearchOptions(evaluations=1500, population=32)


def _cluster() -> ClusterOptions:
    return ClusterOptions(train_workers=1, accuracy_workers=2, timeout_seconds=300.0)


def main() -> None:
    """The job with the command line's options."""
    cli.main(["run", "nasaic", *sys.argv[1:]])


if __name__ == "__main__":
    main()
