"""Lists the search spaces with their presets."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

import searchspaces
from jobs.terminal.console import Terminal
from jobs.terminal.errors import skipping, warn_of
from jobs.terminal.parsing import call
from searchspaces.base import space_size


def main(arguments: Sequence[str]) -> None:
    call(spaces, arguments, prog="evoray spaces")


def spaces() -> None:
    """Lists the search spaces: name, number of genes, number of architectures."""
    table = Table("space", "genes", "architectures", "published")
    warn_of(searchspaces.REGISTRY)
    for name in searchspaces.names():
        with skipping():
            for index, preset in enumerate(searchspaces.presets(name) or [""]):
                full = f"{name}:{preset}" if index else name
                space = searchspaces.load(f"{name}:{preset}" if preset else name)
                table.add_row(
                    full,
                    str(len(space.genes)),
                    f"{space_size(space):.3g}",
                    str(len(space.published)),
                )
    Terminal().print(table)
