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
    """Which pictures."""

    name: Annotated[str, tyro.conf.arg(aliases=("--data",))] = "digits"
    """A data source: digits, cifar10, cifar100, fashion_mnist, stl10, image_folder; for detecting
    text text, text:PRESET, total_text, ctw1500, icdar2015, text_folder."""
    root: Path | None = None
    """Folder of the data; without it EVORAY_DATA, or the source's own place."""
    image_size: int | None = None
    """Side in pixels that images are brought to; none for the source's own."""
    limit: int | None = None
    """At most so many training images, the same share of each class."""
    download: bool = False
    """Whether the source may fetch what is missing."""

    def __post_init__(self) -> None:
        for name in ("image_size", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(
                    f"data.{name} must be at least 1, got {value}; leave it out for none"
                )


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """What is run where."""

    address: str = ""
    """A Ray cluster to join: HOST:PORT, or auto for the one that `ray start` started on this
    machine. Without it the one that this program was submitted to, or else, as by local, one of its
    own."""
    train_workers: int = 2
    """Training workers, data-parallel; from two on they are Ray Train's."""
    train_gpus: bool | None = None
    """Whether each training worker and the accuracy objective take a GPU; none for: if the cluster
    has one.
    """
    max_failures: int = 3
    """How often training is started again after a worker died."""
    timeout_seconds: float = 120.0
    """A measurement that takes longer is stopped with its actor."""
    max_attempts: int = 2
    """How often a measurement is started before its candidate counts as failed."""

    def __post_init__(self) -> None:
        check_address(self.address, "cluster.address")
        check_least(self, "cluster", train_workers=1, max_failures=0, max_attempts=1)
        if self.timeout_seconds <= 0:
            raise ValueError(f"cluster.timeout_seconds must be above 0, got {self.timeout_seconds}")


@dataclass(frozen=True, kw_only=True)
class ClusterOptions(RayOptions):
    """What is run where."""

    min_train_workers: int = 0
    """Training goes on with as few workers as this when machines are lost; 0 for exactly
    train_workers.
    """
    accuracy_workers: int = 1
    """Actors that measure accuracy."""

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
    """Whether files that can run code, .pt2 teachers, are loaded; a run folder does not keep this:
    say it again to resume.
    """
