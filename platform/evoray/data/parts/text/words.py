"""Made-up texts: pronounceable words, numbers, prices and capitals, one to several in a line."""

from __future__ import annotations

import numpy as np

_ONSETS = (
    *"bcdfghjklmnprstvwz",
    *("br", "ch", "cl", "dr", "fl", "gr", "pl", "sh", "st", "th", "tr"),
)
_VOWELS = (*"aeiouy", "ai", "ea", "oo", "ou")
_ENDS = (*"nrstlmx", "nd", "st", "ck", "rn", "ng")
_NUMBER, _INITIAL, _CAPITALS = 0.12, 0.35, 0.3  # shares of words that are or have those

CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-&"


def line_of(rng: np.random.Generator, num_words: int) -> str:
    """A line of so many words, in one kind of letters."""
    style = rng.random()
    words = [_word(rng) for _ in range(num_words)]
    if style < _CAPITALS:
        words = [word.upper() for word in words]
    elif style < _CAPITALS + _INITIAL:
        words = [word[0].upper() + word[1:] for word in words]
    if num_words > 2 and rng.random() < 0.2:
        words[1] = "&"
    return " ".join(words)


def _word(rng: np.random.Generator) -> str:
    if rng.random() < _NUMBER:
        return _number(rng)
    syllables = rng.choice(3, p=(0.25, 0.5, 0.25)) + 1
    parts = [_pick(rng, _ONSETS) + _pick(rng, _VOWELS) for _ in range(syllables)]
    if syllables == 1 or rng.random() < 0.5:
        parts.append(_pick(rng, _ENDS))
    return "".join(parts)


def _number(rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.4:
        return f"{rng.integers(1, 100)}.{rng.integers(100):02d}"
    if kind < 0.6:
        return f"{rng.integers(10, 100)}-{rng.integers(10, 100)}"
    return str(rng.integers(10, 10_000))


def _pick(rng: np.random.Generator, among: tuple[str, ...]) -> str:
    return among[rng.integers(len(among))]
