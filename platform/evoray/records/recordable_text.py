"""Texts from outside, such as the words of an exception, as every file and terminal can hold
them.
"""

from __future__ import annotations

from evoray.records.columns import Texts, texts

_LONGEST_TEXT = 2000  # characters of one recorded text; of a longer one the middle is left out


def recordable(text: object) -> str:
    """`text` as every file and terminal can hold it, whatever an objective or a file name has put
    into it.

    What is no Unicode (a lone surrogate, from a file name in another encoding) and NUL are written
    as escapes.
    """
    try:
        said = str(text)
    except Exception as failure:  # an exception's own __str__ may be as wrong as its objective
        said = f"{type(text).__qualname__} whose text cannot be made ({type(failure).__qualname__})"
    said = said.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    if len(said) <= _LONGEST_TEXT:
        return said
    half = _LONGEST_TEXT // 2
    return f"{said[:half]} ... ({len(said) - 2 * half} characters left out) ... {said[-half:]}"


def recordable_texts(column: Texts) -> Texts:
    """The same of a column."""
    return texts([recordable(text) if text else "" for text in column.tolist()])
