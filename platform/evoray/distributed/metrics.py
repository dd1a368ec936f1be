"""A search's numbers for the Ray dashboard and Prometheus."""

from __future__ import annotations

from typing import Any

from ray.util.metrics import Gauge

from evoray.engine.schedule import Progress


class SearchMetrics:
    """Gauges `evoray_evaluations`, `evoray_failed`, `evoray_generation` and `evoray_front_size` of
    the search in this process.
    """

    def __init__(self) -> None:
        self._gauges: dict[str, Any] = {  # Any: Ray's metrics are untyped
            "evaluations": Gauge("evoray_evaluations", description="Networks evaluated"),
            "failed": Gauge("evoray_failed", description="Evaluations that failed"),
            "generation": Gauge("evoray_generation", description="Complete generations"),
            "front_size": Gauge(
                "evoray_front_size", description="Feasible networks that nothing dominates"
            ),
        }

    def update(self, progress: Progress) -> None:
        """Sets the gauges."""
        for name, gauge in self._gauges.items():
            gauge.set(getattr(progress, name))
