"""Limits of a chip and how far a design is from them: violations for constraint domination,
penalties and reward as NASAIC has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

METRICS = ("latency", "energy", "area")
Column = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Specs:
    """Limits that a chip must keep; inf for no limit.

    Attributes:
        latency: Cycles.
        energy: Largest energy, in the energy unit of the constants used.
        area: um2.
    """

    latency: float = np.inf
    energy: float = np.inf
    area: float = np.inf

    def __post_init__(self) -> None:
        for name in METRICS:
            if not getattr(self, name) > 0:
                raise ValueError(
                    f"a spec must be above 0, got {name} {getattr(self, name)}; inf is no limit"
                )

    def violation(self, values: Mapping[str, ArrayLike]) -> Column:
        """(n,) sum over the metrics of the excess over the spec, relative to it; 0 exactly where
        all specs hold.
        """
        total = np.zeros(_length(values))
        for name, limit in self._limits():
            total += np.maximum(0.0, _metric(values, name) / limit - 1.0)
        return total

    def met(self, values: Mapping[str, ArrayLike]) -> NDArray[np.bool_]:
        """(n,) whether every spec holds."""
        held = np.ones(_length(values), dtype=np.bool_)
        for name, limit in self._limits():
            held &= _metric(values, name) <= limit
        return held

    def penalty(self, values: Mapping[str, ArrayLike], bounds: Mapping[str, float]) -> Column:
        """(n,) sum over the metrics of (value - spec) / (bound - spec), none below 0.

        Yang et al. 2020, arXiv:2002.04116: `bounds` are the greatest values that a metric takes
        over the hardware space. A spec at or above its bound does not bind and adds nothing.
        """
        total = np.zeros(_length(values))
        for name, limit in self._limits():
            if bounds[name] > limit:
                total += np.maximum(0.0, _metric(values, name) - limit) / (bounds[name] - limit)
        return total

    def not_binding(self, bounds: Mapping[str, float]) -> tuple[str, ...]:
        """The metrics whose bound is within their spec."""
        return tuple(name for name in METRICS if bounds[name] <= getattr(self, name))

    def nearest_met(self, values: Mapping[str, ArrayLike]) -> Specs:
        """Widens these specs as little as any of the designs given needs: the limits that could
        have been met where nothing meets these.

        The design with the least violation decides; a spec that it keeps stays as it is.

        Raises:
            ValueError: No design has finite values.
        """
        violation = self.violation(values)
        if not len(violation) or not np.isfinite(violation).any():
            raise ValueError(
                f"no design with finite latency, energy and area among {len(violation)}: nothing "
                "can be near the specs"
            )
        best = int(np.argmin(np.where(np.isfinite(violation), violation, np.inf)))
        return Specs(
            **{
                name: max(getattr(self, name), float(_metric(values, name)[best]))
                for name in METRICS
            }
        )

    def _limits(self) -> list[tuple[str, float]]:
        return [(name, getattr(self, name)) for name in METRICS if np.isfinite(getattr(self, name))]


# Yang et al. 2020's workloads as recollected; in the units of constants "maestro2019". Reference
# points, never thresholds.
WORKLOADS = {
    "W1": Specs(latency=8e5, energy=2e9, area=4e9),
    "W2": Specs(latency=1e6, energy=3.5e9, area=4e9),
    "W3": Specs(latency=4e5, energy=1e9, area=4e9),
}


def reward(accuracy: ArrayLike, penalty: ArrayLike, *, rho: float = 10.0) -> Column:
    """(n,) weighted accuracy less rho times the penalty: what NASAIC's controller is taught
    with.
    """
    if rho < 0:
        raise ValueError(f"rho must not be negative, got {rho}")
    return np.asarray(
        np.asarray(accuracy, dtype=np.float64) - rho * np.asarray(penalty, dtype=np.float64)
    )


def _metric(values: Mapping[str, ArrayLike], name: str) -> Column:
    if name not in values:
        raise ValueError(
            f"values have no {name!r}; they need {', '.join(METRICS)}, got "
            f"{', '.join(values) or 'none'}"
        )
    return np.asarray(values[name], dtype=np.float64)


def _length(values: Mapping[str, ArrayLike]) -> int:
    return len(_metric(values, METRICS[0]))
