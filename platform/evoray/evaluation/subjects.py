"""Says which candidates look alike to an objective: they share its values, or, where it measures in
two halves, the predictions of their network.
"""

from __future__ import annotations

import numpy as np

from objectives.base import DependsOnPart, Measurable, Separable
from searchspaces.base import Architecture, SearchSpace, canonical_keys, decoding_columns


def separable(objective: Measurable, space: SearchSpace) -> Separable | None:
    """The objective, where its first half serves several candidates of this space."""
    shares = isinstance(objective, DependsOnPart) or decoding_columns(space)
    return objective if shares and isinstance(objective, Separable) else None


def subject(objective: Measurable, space: SearchSpace, architecture: Architecture) -> str:
    """Text id of that which the objective looks at in a candidate.

    That is the part that it names itself, or the network for one in two halves, or else the whole
    candidate.
    """
    if isinstance(objective, DependsOnPart):
        return objective.subject(architecture)
    if separable(objective, space) is None:
        return architecture.key
    network = np.array([architecture.choices], dtype=np.int16)
    network[:, decoding_columns(space)] = 0
    return canonical_keys(space, network)[0]


def value_subject(objective: Measurable, space: SearchSpace, architecture: Architecture) -> str:
    """Text id of that which the objective's values depend on; in two halves they depend on the
    decoding besides.
    """
    looked_at = subject(objective, space, architecture)
    if separable(objective, space) is None:
        return looked_at
    decoding = (str(architecture.choices[column]) for column in decoding_columns(space))
    return " ".join([looked_at, *decoding])
