"""Options that every pipeline shares: which data, what is run where, whether code in files is
trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from evoray.distributed.cluster.address import check_address


def check_least(options: object, group: str, **least: float) -> None:
    """Refuses options below what they must be at least.

    Args:
        options: A dataclass with these fields.
        group: The word before the dot on the command line.
        least: The smallest value of each field, by name.

    Raises:
        ValueError: One is smaller.
    """
    for name, bound in least.items():
        value = getattr(options, name)
        if value < bound:
            raise ValueError(f"{group}.{name} must be at least {bound}, got {value}")


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Images to train and validate on."""

    name: Annotated[str, tyro.conf.arg(aliases=("--data",))] = "digits"
    """Data set: digits, cifar10, cifar100, fashion_mnist, stl10 or image_folder.
    For pictures of your own take image_folder and name their folder with --data.root.
    For finding text take text or text:PRESET, total_text, ctw1500, icdar2015 or text_folder.
    """
    root: Path | None = None
    """Folder of the data.
    None: the folder that EVORAY_DATA names, or else the data set's usual place.
    """
    image_size: int | None = None
    """Side in pixels to which images are resized; None for the data set's own.
    Smaller images train faster and less accurately.
    """
    limit: int | None = None
    """Largest number of training images, the same share of each class; None for all.
    A few thousand make a quick trial.
    """
    download: bool = False
    """Downloads the data where it is missing.
    Without it a run stops and says what is missing.
    """

    def __post_init__(self) -> None:
        for name in ("image_size", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(
                    f"data.{name} must be at least 1, got {value}; leave it out for none"
                )


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """Ray cluster to run on, and the actors and GPUs to use there."""

    address: str = ""
    """Ray cluster to join: HOST:PORT, local for a new one of its own, or auto for this machine's.
    The one that auto joins was started with `ray start`.
    Empty: the cluster that this program was submitted to, or else a new one of its own.
    """
    train_workers: int = 2
    """Data-parallel training workers; the batch is divided among them.
    With 2 or more they are Ray Train's: take one for each GPU.
    """
    train_gpus: bool | None = None
    """Gives each training worker and the accuracy objective a GPU.
    None: where the cluster has one.
    """
    max_failures: int = 3
    """Times that training restarts from its last checkpoint after a worker was lost.
    Raise it on machines that are taken away at any time; 0 stops the run at the first loss.
    """
    timeout_seconds: float = 120.0
    """Longest time of one measurement in seconds; then its actor is stopped.
    Raise it when candidates fail only because they are slow.
    """
    max_attempts: int = 2
    """Times that a measurement is started before its candidate is recorded as failed."""

    def __post_init__(self) -> None:
        check_address(self.address, "cluster.address")
        check_least(self, "cluster", train_workers=1, max_failures=0, max_attempts=1)
        if self.timeout_seconds <= 0:
            raise ValueError(f"cluster.timeout_seconds must be above 0, got {self.timeout_seconds}")


@dataclass(frozen=True, kw_only=True)
class ClusterOptions(RayOptions):
    """Ray cluster to run on, and the actors and GPUs to use there."""

    min_train_workers: int = 0
    """Smallest number of training workers to go on with when machines are lost.
    With 0 training waits until all train_workers have a place again.
    """
    accuracy_workers: int = 1
    """Actors that measure accuracy side by side, each on a CPU or GPU of its own.
    More of them shorten the search as long as the cluster has places for them.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, "cluster", accuracy_workers=1)
        if not 0 <= self.min_train_workers <= self.train_workers:
            raise ValueError(
                f"cluster.min_train_workers must be between 0 and {self.train_workers}, got "
                f"{self.min_train_workers}"
            )

    @property
    def workers(self) -> int | tuple[int, int]:
        """Training workers: how many, or the fewest and the most."""
        if self.min_train_workers:
            return self.min_train_workers, self.train_workers
        return self.train_workers


@dataclass(frozen=True, kw_only=True)
class CodeOptions:
    """A configuration that may name files which can run code."""

    trust_code: bool = False
    """Loads teachers from .pt2 files, which can run any code: only those of makers you trust.
    A run folder does not keep this: give it again to resume.
    """
