"""A search's numbers for the Ray dashboard and Prometheus."""

from __future__ import annotations

from typing import Any

from ray.util.metrics import Gauge

from evoray.loop import Progress


class SearchMetrics:
    """Gauges `evoray_evaluations`, `evoray_failed` and `evoray_generation` of the search in this process."""

    def __init__(self) -> None:
        self._gauges: dict[str, Any] = {  # Any: Ray's metrics are untyped
            "evaluations": Gauge("evoray_evaluations", description="Networks evaluated"),
            "failed": Gauge("evoray_failed", description="Evaluations that failed"),
            "generation": Gauge("evoray_generation", description="Complete generations"),
        }

    def update(self, progress: Progress) -> None:
        """Sets the gauges."""
        for name, gauge in self._gauges.items():
            gauge.set(getattr(progress, name))
