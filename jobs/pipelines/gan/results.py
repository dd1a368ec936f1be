"""The generators that a run has found, with their weights: of a stage's records, or of the final
training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from evoray.evaluation.worker import supernet_with
from evoray.records.ledger import read_ledger
from evoray.records.run_folder import RunFolder
from evoray.records.weights_digest import check_weights
from evoray.results import picking
from evoray.training import checkpoints
from evoray.training.gan.calibration import LatentCalibration
from evoray.training.gan.training import part_of
from jobs.pipelines.gan.build import SearchSetup
from jobs.pipelines.gan.config import GanSearch
from jobs.pipelines.gan.run_files import FINAL, STAGES, read_pair, read_pair_keys
from searchspaces.base import Architecture, SearchSpace, architectures
from searchspaces.eagan import Discriminator, Generator


@dataclass(frozen=True)
class FoundGenerator:
    """One generator of a run, recalibrated and in eval mode.

    Attributes:
        key: Key of its record: in stage 2 the discriminator's.
        stage: "generators", "discriminators" or "final".
        values: Scores and costs by name.
        network: (b, latent) -> (b, c, h, w) in [-1, 1].
        generator: Architecture of the generator.
    """

    key: str
    stage: str
    values: Mapping[str, float]
    network: nn.Module
    generator: Architecture


def row_of(stage: RunFolder, pick: str) -> dict[str, Any]:
    """The record of a stage that `pick` names; NAME of "best:NAME" may leave out what stands behind
    "@".

    Raises:
        ValueError: It names none, or the stage has no records.
    """
    table = read_ledger(stage.ledger)
    if table is None:
        raise ValueError(
            f"stage {stage.path.name} of {stage.path.parent} has no records yet: finish it with "
            f"`evoray resume {stage.path.parent}`"
        )
    values = stage.job()["values"]
    return picking.pick(table, values, full_name(pick, values))


def full_name(pick: str, values: Sequence[Mapping[str, Any]]) -> str:
    """ "best:fid" as "best:fid@digits-cnn" where that is the run's FID."""
    start, colon, name = pick.partition(":")
    names = [str(v["name"]) for v in values]
    return (
        f"{start}:{next((n for n in names if n.split('@')[0] == name), name)}"
        if colon and name not in names
        else pick
    )


def codes_of(space: Generator | Discriminator, row: Mapping[str, Any]) -> list[list[int]]:
    """A record's genotype as the paper prints it."""
    return space.codes(architecture_of_row(cast(SearchSpace, space), row["choices"]))


def architecture_of_row(space: SearchSpace, choices: Sequence[int]) -> Architecture:
    """The architecture of a record."""
    return architectures(space, np.array([list(choices)], dtype=np.int16))[0]


class GeneratorFinder:
    """Reads generators out of a run's folder; the last stage's checkpoint is read once."""

    def __init__(self, run: RunFolder, config: GanSearch, setup: SearchSetup) -> None:
        self._run, self._composition = run, setup
        self._calibration = LatentCalibration(
            latent=setup.generators.latent,
            num_images=config.measure.calibration_images,
            seed=config.seed,
        )
        self._weights: dict[str, dict[str, torch.Tensor]] = {}
        self._digests: dict[str, str] = {}

    def stage(self, name: str) -> RunFolder:
        return RunFolder(self._run.path / name)

    def front(self, name: str) -> pa.Table | None:
        """A stage's front, None where it has none yet."""
        table = (
            read_ledger(self.stage(name).ledger)
            if (self.stage(name).path / "job.json").is_file()
            else None
        )
        return None if table is None else picking.front(table, self.stage(name).job()["values"])

    def generator(self, row: Mapping[str, Any]) -> nn.Module:
        """The stand-alone network of a stage-1 record with its weights, neither trained nor
        recalibrated further.
        """
        space = cast(SearchSpace, self._composition.generators)
        arrays = {
            name: tensor.numpy()
            for name, tensor in part_of(self._tensors("generators"), "generators").items()
        }
        return space.build_subnet(
            supernet_with(space, arrays), architecture_of_row(space, row["choices"])
        )

    def of_row(self, stage: str, row: Mapping[str, Any]) -> FoundGenerator:
        """The generator of a record of one of the stages.

        Raises:
            ValueError: The record's pair is not of the last round.
        """
        self._tensors(stage)
        check_weights(row, self._digests[stage], self._run.path)
        if stage == "generators":
            network = self.generator(row)
        else:
            keys = read_pair_keys(self.stage("discriminators"))
            if row["key"] not in keys:
                raise ValueError(
                    f"discriminator {row['key']} is not of the last round, its generator is gone: "
                    "pick one of the front"
                )
            network = self._generator_network()
            network.load_state_dict(
                part_of(self._tensors(stage), f"generator-{keys.index(row['key'])}")
            )
        return self._ready(str(row["key"]), stage, row, network)

    def final(self) -> FoundGenerator:
        """The found pair's generator after the final training.

        Raises:
            ValueError: There was none.
        """
        if not (self._run.path / FINAL).is_dir() or "final" not in read_pair(self._run):
            raise ValueError(
                f"run {self._run.path} has no final training: set final.epochs above 0, or pick a "
                "key"
            )
        pair = read_pair(self._run)
        network = self._generator_network()
        tensors = self._tensors(FINAL)
        check_weights({"key": FINAL, **pair["final"]}, self._digests[FINAL], self._run.path)
        network.load_state_dict(part_of(tensors, "average") or part_of(tensors, "generator"))
        return self._ready(pair["generator"]["key"], FINAL, pair["final"], network)

    def pick(self, pick: str) -> FoundGenerator:
        """ "final", "knee" or "best:NAME" of the last stage, or (the beginning of) a key of either
        stage.

        Raises:
            ValueError: It names none.
        """
        if pick == FINAL:
            return self.final()
        begun = [name for name in reversed(STAGES) if self.front(name) is not None]
        if not begun:
            raise ValueError(
                f"run {self._run.path} has nothing to pick from yet: finish it with `evoray resume "
                f"{self._run.path}`"
            )
        errors = []
        for name in begun:
            try:
                row = row_of(self.stage(name), pick)
            except ValueError as error:
                errors.append(f"{name}: {error}")
                continue
            space = (
                self._composition.generators
                if name == "generators"
                else self._composition.discriminators
            )
            picking.network(cast(SearchSpace, space), row)
            return self.of_row(name, row)
        raise ValueError("; ".join(errors))

    def _generator_network(self) -> nn.Module:
        space = cast(SearchSpace, self._composition.generators)
        return space.build_subnet(
            None, architecture_of_row(space, read_pair(self._run)["generator"]["choices"])
        )

    def _tensors(self, name: str) -> dict[str, torch.Tensor]:
        if name not in self._weights:
            folder: Path = self._run.path / name if name == FINAL else self.stage(name).supernet
            self._weights[name], self._digests[name] = checkpoints.load_weights(folder)
        return self._weights[name]

    def _ready(
        self, key: str, stage: str, row: Mapping[str, Any], network: nn.Module
    ) -> FoundGenerator:
        self._calibration(network, torch.device("cpu"))
        values = {
            name: float(v)
            for name, v in row.items()
            if isinstance(v, float) and name != "violation" and not name.endswith("_seconds")
        }
        choices = (
            row["choices"]
            if stage == "generators"
            else read_pair(self._run)["generator"]["choices"]
        )
        architecture = architecture_of_row(cast(SearchSpace, self._composition.generators), choices)
        return FoundGenerator(key, stage, values, network.eval(), architecture)
