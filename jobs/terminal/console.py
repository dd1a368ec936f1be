"""The one place where texts reach a terminal: shown as they are, never as markup, and never able to
steer it.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from evoray.files.visible_text import visible

_UNBOUNDED = 1_000_000  # columns of a pipe or file


class Terminal(Console):
    """Prints for commands. Strings are no markup; a table keeps every column, in a pipe or file
    without its box.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, soft_wrap=True, quiet=quiet)
        if not self.is_terminal:
            self.width = _UNBOUNDED

    def render_str(self, text: str, **options: Any) -> Text:  # Any: rich's own
        """The text of every string that rich meets: a line, a title, a cell."""
        return super().render_str(visible(text), **options)

    def print(self, *objects: Any, **options: Any) -> None:  # Any: whatever rich can draw
        """Prints each of the objects as rich does."""
        for table in objects:
            if isinstance(table, Table) and not self.is_terminal:
                table.box = None
        super().print(*objects, **options)

    def status(self, status: Any, **options: Any) -> Status:  # Any: as above
        """A word beside a spinner for the time of the block."""
        return super().status(
            Text(visible(status)) if isinstance(status, str) else status, **options
        )


class _Lines(logging.Formatter):
    """Indents all lines of a message but the first, such as those of a traceback: none passes for
    another message.
    """

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record).rstrip(), keep="\n").replace("\n", "\n    ")


def set_up_streams() -> None:
    """Makes every text printable in every locale, and warnings lines of their own; called once as a
    program starts.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(
            stream, "reconfigure"
        ):  # else a test, or somebody who embeds us, has put something else there
            stream.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines("evoray: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
