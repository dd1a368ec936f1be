"""Building a GAN search from its configuration. Reads only; every mistake shows here."""

from __future__ import annotations

import dataclasses
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import torch
from torch import nn

import searchspaces
from evoray.data.parts.images import LabelledImageSource, with_classes
from evoray.records.run_folder import RunFolder
from evoray.seeds import seed_for
from evoray.training.gan.images import RealImages, image_splits
from jobs.pipelines.datasets import load_source
from jobs.pipelines.gan.config import GanSearch
from jobs.pipelines.gan.run_files import read_pair
from objectives.inception.classifier import Shape
from objectives.inception.extractors import Extractor, Inception
from objectives.inception.scorer import check_enough
from searchspaces.eagan import Discriminator, Generator, PlainDiscriminator

_S = TypeVar("_S", Generator, Discriminator)


@dataclass(frozen=True)
class SearchSetup:
    """Objects that a configuration means.

    Attributes:
        generators: Space of stage 1.
        discriminators: Space of stage 2.
        source: The images.
        opponent: The fixed discriminator of stage 1, with its first weights.
        extractor: The Inception network, or None where a classifier has to be trained.
    """

    generators: Generator
    discriminators: Discriminator
    source: LabelledImageSource
    opponent: nn.Module
    extractor: Extractor | None

    @property
    def sources(self) -> tuple[LabelledImageSource, ...]:
        """The data of every task."""
        return (self.source,)

    @property
    def label(self) -> str:
        """Suffix of the scores' names: the extractor's own, or the data's name and "-cnn"."""
        return f"{self.source.name}-cnn" if self.extractor is None else self.extractor.label


def build_setup(config: GanSearch) -> SearchSetup:
    """Builds the parts.

    Raises:
        ValueError: Something of the configuration does not exist or does not fit.
        FileNotFoundError: Data, weights or a run are not there.
    """
    generators = _space(
        config.generators.space, Generator, config.generators.channels, "generators"
    )
    discriminators = _space(
        config.discriminators.space, Discriminator, config.discriminators.channels, "discriminators"
    )
    options = config.data
    source = with_classes(
        load_source(options, image_size=options.image_size or generators.image_size)
    )
    generators = dataclasses.replace(generators, image_channels=source.image_shape[0])
    discriminators = dataclasses.replace(discriminators, image_channels=source.image_shape[0])
    for option, space in (("generators", generators), ("discriminators", discriminators)):
        made = (space.image_channels, space.image_size, space.image_size)
        if made != source.image_shape:
            raise ValueError(
                f"{options.name!r} has images of shape {source.image_shape}, space {space.name!r} "
                f"of {option}.space is for {made}: "
                f"set --data.image-size {space.image_size}, or choose a space for these images"
            )
    for stage in (config.generators, config.discriminators):
        RealImages(source, stage.train.gan.discriminator_batch, seed=config.seed)
    extractor = _extractor(config)
    num_features = (
        extractor.num_features
        if extractor
        else Shape(image_shape=source.image_shape, num_classes=2).num_features
    )
    num_real = sum(len(source.open(split)) for split in image_splits(source))
    for what, count in (
        (
            f"measure.num-images: {config.measure.num_images} generated images",
            config.measure.num_images,
        ),
        (f"{num_real} real images of {source.name!r}", num_real),
    ):
        check_enough(what, count, num_features, config.measure.allow_few)
    return SearchSetup(
        generators, discriminators, source, _opponent(config, discriminators), extractor
    )


def _space(name: str, kind: type[_S], channels: int | None, option: str) -> _S:
    space = searchspaces.load(name)
    if not isinstance(space, kind):
        known = [
            f"eagan:{preset}"
            for preset in searchspaces.presets("eagan")
            if preset.startswith(option[:-1])
        ]
        raise ValueError(
            f"{option}.space {name!r} is no space of {option}; there is {', '.join(known)}"
        )
    return dataclasses.replace(space, channels=channels) if channels is not None else space


def _extractor(config: GanSearch) -> Extractor | None:
    if config.measure.inception is None:
        return None
    found = Inception(config.measure.inception)
    if importlib.util.find_spec("torch_fidelity") is None:
        raise ValueError("--inception needs torch-fidelity: pip install 'evoray[gan]'")
    return cast(Extractor, found)


def _opponent(config: GanSearch, space: Discriminator) -> nn.Module:
    """Freshly initialised from the run's seed."""
    name = config.generators.opponent
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(config.seed, "opponent"))
        if name == "plain":
            if space.image_size < 32:
                raise ValueError(
                    "generators.opponent 'plain' needs images of 32 pixels and more, got "
                    f"{space.image_size}: take 'autogan'"
                )
            return PlainDiscriminator(space.image_channels, space.channels)
        codes = found_codes(name) if isinstance(name, Path) else autogan_codes()
        return space.build_subnet(None, space.architecture(codes))


def autogan_codes() -> list[list[int]]:
    """The genotype of the discriminator that stage 1 holds fixed."""
    space = Discriminator(name="eagan:discriminator")
    return space.codes(space.published["AutoGAN D"])


def found_codes(run: Path) -> list[list[int]]:
    """The genotype of the discriminator that a run has found.

    Raises:
        ValueError: `run` is neither a known discriminator nor a finished run.
    """
    if not run.is_dir():
        raise ValueError(
            f"generators.opponent {run} is neither autogan nor plain, nor the folder of a finished "
            "eagan run"
        )
    pair = read_pair(RunFolder.open(run))
    codes: list[list[int]] | None = pair.get("discriminator", {}).get("codes")
    if codes is None:
        raise ValueError(
            f"run {run} has found no discriminator yet: finish it with `evoray resume {run}`"
        )
    return codes
