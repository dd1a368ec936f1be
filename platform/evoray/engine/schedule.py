"""Length of a search, meetings of its shards, and its progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from searchspaces.base import nearest

TOPOLOGIES: dict[str, Callable[[int, int], list[int]]] = {
    "ring": lambda index, num: [(index - 1) % num],
    "star": lambda index, num: [0] if index else list(range(num)),
    "full": lambda index, num: list(range(num)),
}


@dataclass(frozen=True, kw_only=True)
class Migration:
    """Exchange of candidates between shards.

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
        """Returns True if shards exchange after this many generations."""
        return (
            num_shards > 1
            and self.every > 0
            and self.num_migrants > 0
            and generation % self.every == 0
        )

    def senders(self, num_shards: int) -> list[list[int]]:
        """Lists for each shard the shards that it receives from."""
        return [
            sorted(set(TOPOLOGIES[self.topology](index, num_shards)) - {index})
            for index in range(num_shards)
        ]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Length of a search, and the meetings of its shards.

    Attributes:
        evaluations: Distinct networks to evaluate.
        population: Candidates that each shard proposes a generation.
        migration: Exchange of candidates among shards.
        in_flight: Without barriers: candidates that are being measured or wait for it, all shards
            together; None for a population a shard. With barriers it has no meaning.
    """

    evaluations: int = 256
    population: int = 32
    migration: Migration = field(default_factory=Migration)
    in_flight: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("evaluations", 1), ("population", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.in_flight is not None and self.in_flight < 1:
            raise ValueError(f"in_flight must be at least 1, got {self.in_flight}")


@dataclass(frozen=True)
class Progress:
    """Progress of a search, in counts.

    Attributes:
        generation: Complete generations.
        evaluations: Networks that count towards the budget and have ended.
        failed: Failed records among them.
        front_size: Feasible networks that nothing dominates.
    """

    generation: int
    evaluations: int
    failed: int
    front_size: int
