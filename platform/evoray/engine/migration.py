"""Migration: which shards send their candidates to which, how often, and which candidates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from searchspaces.base import nearest


@dataclass(frozen=True, kw_only=True)
class Migration:
    """How shards exchange candidates.

    Attributes:
        every: Generations between two exchanges; 0 for never.
        num_migrants: Candidates that each shard sends to each of its neighbours.
        topology: "ring" (to the next shard), "star" (between the first and every other), "full" (to
            all others).
        select: "elites" or "random" ones among a shard's best.
    """

    every: int = 2
    num_migrants: int = 2
    topology: str = "ring"
    select: str = "elites"

    def __post_init__(self) -> None:
        for name in ("every", "num_migrants"):
            if getattr(self, name) < 0:
                raise ValueError(f"migration {name} must be at least 0, got {getattr(self, name)}")
        for what, value, known in (
            ("topology", self.topology, TOPOLOGIES),
            ("selection", self.select, ("elites", "random")),
        ):
            if value not in known:
                raise ValueError(f"no migration {what} {value!r}; {nearest(value, known)}")

    def is_due(self, generation: int, num_shards: int) -> bool:
        """Whether shards exchange after this many generations."""
        return (
            num_shards > 1
            and self.every > 0
            and self.num_migrants > 0
            and generation % self.every == 0
        )

    def senders(self, num_shards: int) -> list[list[int]]:
        """For each shard, those it receives from."""
        return [
            sorted(set(TOPOLOGIES[self.topology](index, num_shards)) - {index})
            for index in range(num_shards)
        ]


TOPOLOGIES: dict[str, Callable[[int, int], list[int]]] = {
    "ring": lambda index, num: [(index - 1) % num],
    "star": lambda index, num: [0] if index else list(range(num)),
    "full": lambda index, num: list(range(num)),
}
