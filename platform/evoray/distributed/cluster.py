"""Getting a Ray cluster: the one that a submitted job runs in, the one at an address, or a local one."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray

_log = logging.getLogger(__name__)


@contextmanager
def cluster(address: str = "", *, dashboard: bool = True) -> Iterator[str]:
    """Connects on entry and disconnects on leaving; yields the dashboard's URL, "" without one.

    Args:
        address: Of a running cluster; "" for the one this program was submitted to, or else a local one that ends with it.
        dashboard: Whether a local cluster serves Ray's dashboard.

    Raises:
        ConnectionError: There is no cluster at `address`.
    """
    # Ray Train asks its workers every 2 s by default, which would add 2 s to every report; set before the workers' cluster starts.
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.1")
    joins = address or os.environ.get("RAY_ADDRESS", "")
    if ray.is_initialized():
        yield ""
        return
    try:
        if joins:
            context = ray.init(address=joins, log_to_driver=False, logging_level=logging.ERROR)
        else:
            context = ray.init(include_dashboard=dashboard, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise ConnectionError(
            f"no Ray cluster at {joins!r} ({error}): start one with `ray start --head`, or leave the address out"
        ) from None
    try:
        yield f"http://{context.dashboard_url}" if context.dashboard_url else ""
    finally:
        ray.shutdown()
