"""Trains one network of a run alone with Ray Train, also at a higher resolution; tells what it
gains over the weights of the supernet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evoray.distributed.cluster.connection import check_cluster
from evoray.records.run_folder import check_local
from evoray.training.config import TrainConfig
from jobs.pipelines.clusters import connected
from jobs.pipelines.opened import OpenedRun, opened
from jobs.pipelines.retraining import RetrainOptions, alone, prepare, retrain
from jobs.terminal.cluster_option import ClusterOption
from jobs.terminal.console import Terminal
from jobs.terminal.errors import user_input
from jobs.terminal.limits import check_machine
from jobs.terminal.parsing import parse, take_options, take_roots
from jobs.terminal.stopping import advising
from objectives.base import values_of

_ABOUT = (
    "Also: --pick KEY, knee (the default) or best:NAME of the front; --output FOLDER instead of "
    "RUN/retrained/KEY; "
)
_ABOUT += (
    "--own PATH:OBJECT for a space or objective of your own that is elsewhere than at the start of "
    "the run, or has changed; "
)
_ABOUT += (
    "--data.root DIR for data that has moved; --cluster.address HOST:PORT, auto or local for "
    "another Ray cluster than the run's."
)


def main(arguments: Sequence[str]) -> None:
    console = Terminal()
    with user_input():
        others, roots = take_roots(arguments)
        words, own = take_options(others, ("--pick", "--output", "--own", "--cluster.address"))
        check_local(own["--output"], "--output")
        run = Path(words[0]) if words and not words[0].startswith("-") else None
        if run is None and "-h" not in words and "--help" not in words:
            raise ValueError("retrain needs a run folder: evoray retrain RUN [--pick KEY]")
        cluster = ClusterOption(address=own["--cluster.address"] or None)
        source = None if run is None else opened(run, own["--own"].split(), cluster=cluster)
        options = _options(source, words[run is not None :])
        assert source is not None  # --help has ended the program
        address = source.config.cluster.address
        check_machine(options, address)
        source = source.with_data(roots)
        single = source.pipeline.single_supernet(source.folder, source.config)
        output = Path(own["--output"]) if own["--output"] else None
        work = prepare(source.folder, single, options, own["--pick"], output)
        check_cluster(address)
    key = work.architecture.key
    with (
        advising("the same command goes on from here"),
        connected(address, console),
        console.status(f"training {key} alone"),
    ):
        values, files = retrain(work, options)
    for value in values_of(work.validation("val")):
        shown = ", ".join(
            f"{of[value.name]:.2f} {value.unit} on {split}" for split, of in values.items()
        )
        inherited = work.values.get(value.name)
        if inherited is not None:
            shown += f"; {inherited:.2f} {value.unit} with the supernet's weights"
        console.print(f"{key} alone, {value.name}: {shown}")
    for file in files:
        console.print(str(file))


def _options(source: OpenedRun | None, words: Sequence[str]) -> RetrainOptions:
    """Reads the options from the command line; those not given are taken from the run's own
    training.
    """
    recipe, seed = TrainConfig(), 0
    if source is not None:
        recipe = source.pipeline.single_supernet(source.folder, source.config).recipe
        seed = source.config.seed
    default = RetrainOptions(train=alone(recipe), seed=seed)
    return parse(RetrainOptions, default, words, prog="evoray retrain RUN", description=_ABOUT)
