"""How long a search lasts, how its shards meet, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field

from evoray.engine.migration import Migration


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long a search lasts and how its shards meet.

    Attributes:
        evaluations: Distinct networks to evaluate.
        population: Candidates that each shard proposes a generation.
        migration: How shards exchange candidates.
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
    """Where a search stands.

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
