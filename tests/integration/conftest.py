"""A real local Ray cluster for each module that asks for one: two cores, its own folder, ended by
the fixture.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def cluster_environment() -> Iterator[str]:
    """A folder for a cluster, and an environment in which its workers can import `tests`."""
    folder = tempfile.mkdtemp(
        prefix="evoray-ray-"
    )  # not under tmp_path: socket paths are limited to 107 bytes
    saved = {
        name: os.environ.get(name)
        for name in ("PYTHONPATH", "RAY_TRAIN_V2_ENABLED", "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S")
    }
    os.environ["PYTHONPATH"] = os.pathsep.join(
        p for p in (str(ROOT), str(ROOT / "platform"), saved["PYTHONPATH"]) if p
    )
    os.environ["RAY_TRAIN_V2_ENABLED"] = "1"
    os.environ["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] = "0.1"
    yield folder
    for name, value in saved.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def local_ray(cluster_environment: str) -> Iterator[None]:
    """Connects this process to a fresh cluster."""
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        _temp_dir=cluster_environment,
        log_to_driver=False,
    )
    yield
    ray.shutdown()
