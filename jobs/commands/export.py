"""Writes a network of a run, or all networks of one design, to ONNX, torch.export or safetensors,
with its weights and recalibrated batch norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from evoray.results.export import export as export_network
from jobs.pipelines.opened import opened
from jobs.terminal.console import Terminal
from jobs.terminal.errors import user_input
from jobs.terminal.parsing import AS_RECORDED, Roots, call_on_run


def main(arguments: Sequence[str]) -> None:
    call_on_run(export, arguments, prog="evoray export")


def export(
    run: Annotated[Path, tyro.conf.Positional],
    /,
    pick: str = "knee",
    to: Literal["onnx", "pt2", "safetensors"] = "onnx",
    output: Path | None = None,
    own: tuple[str, ...] = (),
    roots: Roots = AS_RECORDED,
) -> None:
    """Exports a network with the weights that it has in the supernet; of a co-search the networks
    of all tasks, each with what it runs on.

    Where the run's data has moved, --data.root DIR says where it is now; of a job with several data
    sets each has its own, such as --first.data.root DIR.

    Args:
        run: Run folder.
        pick: Network of the front: its key or the beginning of it, knee, or best:NAME.
            The last is the front's best under an objective or cost.
        to: Format: onnx for any runtime, pt2 for torch.export, safetensors to load in Python.
        output: Folder to write to, with a folder inside for each of several tasks.
            None: RUN/export/KEY.
        own: Import paths of the run's own space and objectives, named again.
            Needed where they are elsewhere than at the start, or have changed since.
        roots: Folders of data that has moved, by option.
    """
    with user_input():
        source = opened(run, own).with_data(roots)
        networks = source.pipeline.exported_networks(source.folder, source.config, pick)
    files: list[Path] = []
    for found in networks:
        with user_input():
            place = (
                output or source.folder.inside("export", found.design or found.architecture.key)
            ) / found.label
            files += export_network(
                found.network.eval(),
                found.architecture,
                found.space,
                found.input_shape,
                to,
                place,
                names=found.names,
                extra=found.about,
            )
    for file in files:
        Terminal().print(str(file))
