"""Makes images with a generator that a GAN search has found, as one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from jobs.pipelines.gan import pictures
from jobs.pipelines.gan.build import build_setup
from jobs.pipelines.gan.pipeline import PIPELINE
from jobs.pipelines.gan.results import GeneratorFinder
from jobs.pipelines.gan.run_files import FINAL, read_pair
from jobs.pipelines.opened import opened
from jobs.terminal.console import Terminal
from jobs.terminal.errors import user_input
from jobs.terminal.parsing import AS_RECORDED, Roots, call_on_run

_MOST = 10_000  # images in one picture


def main(arguments: Sequence[str]) -> None:
    call_on_run(sample, arguments, prog="evoray sample")


def sample(
    run: Annotated[Path, tyro.conf.Positional],
    /,
    pick: str = "",
    count: int = 64,
    seed: int = 0,
    walk: bool = False,
    output: Path | None = None,
    own: tuple[str, ...] = (),
    roots: Roots = AS_RECORDED,
) -> None:
    """Writes a grid of images.

    Where the run's data has moved, --data.root DIR says where it is now.

    Args:
        run: Run folder of a GAN search.
        pick: Generator: its key or the beginning of it, or a discriminator's for its pair.
            Also final for the finally trained pair, knee or best:NAME of the last stage's front.
            Empty: final where there is one, else the found pair.
        count: Number of images in the grid, 1 to 10,000.
        seed: Seeds the latent vectors: another seed shows other images.
        walk: Goes from one latent vector to another in each row.
        output: PNG file to write; None for RUN/samples/STAGE-KEY.png.
        own: Import paths of the run's own space and objectives, named again.
            Needed where they are elsewhere than at the start, or have changed since.
        roots: Folders of data that has moved, by option.
    """
    with user_input():
        if not 1 <= count <= _MOST:
            raise ValueError(f"--count must be between 1 and {_MOST}, got {count}")
        source = opened(run, own)
        if source.pipeline is not PIPELINE:
            job = source.folder.job()["job"]
            raise ValueError(
                f"run {run} is of job {job!r}, which finds no generators: take a run of eagan"
            )
        folder, config = source.folder, source.with_data(roots).config
        setup = build_setup(config)
        chosen = pick or (
            FINAL
            if FINAL in read_pair(folder)
            else read_pair(folder).get("discriminator", {}).get("key", "knee")
        )
        found = GeneratorFinder(folder, config, setup).pick(chosen)
    latent = setup.generators.latent
    columns = pictures.columns_of(count)
    if walk:
        made = pictures.walks(found.network, latent, -(-count // columns), columns, seed)
    else:
        made = pictures.samples(found.network, latent, count, seed)
    with user_input():
        file = output or folder.inside("samples", f"{found.stage}-{found.key}.png")
        pictures.write(pictures.grid(made, columns), file)
    Terminal().print(str(file))
