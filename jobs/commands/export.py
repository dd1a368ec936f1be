"""Writes one network of a run to ONNX, torch.export or safetensors, with its weights and recalibrated batch norm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro

from evoray import selection
from evoray.bench import supernet_with
from evoray.export import export as export_network
from evoray.ledger import read_ledger
from evoray.run_folder import RunFolder
from jobs.supernet import pipeline
from jobs.supernet.composition import compose
from jobs.terminal.errors import user_input
from searchspaces.base import Architecture


def main(arguments: Sequence[str]) -> None:
    tyro.cli(export, args=arguments, prog="evoray export")


def export(
    run: Annotated[Path, tyro.conf.Positional],
    /,
    pick: str = "knee",
    to: Literal["onnx", "pt2", "safetensors"] = "onnx",
    output: Path | None = None,
) -> None:
    """Exports a network with the weights that it has in the supernet.

    Args:
        run: The run folder.
        pick: A key or the beginning of one, "knee", or "best:NAME" for the front's best under an objective or cost.
        to: The format.
        output: Folder to write to; without it RUN/export/KEY.
    """
    with user_input():
        folder = RunFolder.open(run)
        config = pipeline.config_of(folder)
        table = read_ledger(folder.ledger)
        if table is None:
            raise ValueError(f"run {run} has no evaluations to pick from: finish it with `evoray resume {run}`")
        values = folder.job()["values"]
        row = selection.pick(table, values, pick)
        composition = compose(config)
        weights, digest = pipeline.supernet_weights(folder)
        supernet = supernet_with(composition.space, weights)
    architecture = Architecture(composition.space.name, tuple(row["choices"]), row["key"])
    network = composition.space.build_subnet(supernet, architecture)
    composition.calibration(network, torch.device("cpu"))
    about = {"weights_digest": digest, "values": {v["name"]: row[v["name"]] for v in values}, "source": composition.source.name}
    with user_input():
        files = export_network(
            network.eval(),
            architecture,
            composition.space,
            composition.source.image_shape,
            to,
            output or folder.path / "export" / architecture.key,
            extra=about,
        )
    for file in files:
        print(file)
