"""Text from outside made safe to look at: nothing in it steers a terminal, or hides or turns what
stands beside it.
"""

from __future__ import annotations


def visible(text: str, *, keep: str = "") -> str:
    r"""The text with each character that shows nothing of itself written as Python writes it: an
    escape becomes \x1b.

    These are control characters, line ends, marks of the direction of writing, zero-width
    characters and halves of surrogate pairs; the characters in `keep` stay.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )
