"""Failures of training workers: some are worth another start, the others end the training."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("ray")

from ray.exceptions import ActorDiedError
from ray.train import ControllerError, WorkerGroupError
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError

from evoray.distributed.ray_train.lost_workers import mistake_in

DEAD = WorkerHealthCheckFailedError("a worker has failed", ActorDiedError())
CUT = ConnectionError("rank 1 of 2 has lost the others")


@pytest.mark.parametrize(
    "failures",
    [
        {0: DEAD},
        {0: DEAD, 1: CUT},
        {1: CUT},
        {0: torch.distributed.DistBackendError("a collective timed out"), 1: CUT},
        {0: torch.AcceleratorError("an uncorrectable memory error")},
        {0: OSError("stale file handle")},
    ],
)
def test_lost_workers_links_and_storage_are_no_mistake(failures: dict[int, Exception]) -> None:
    assert mistake_in(WorkerGroupError("", failures)) is None


@pytest.mark.parametrize(
    "kind",
    [
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        FileNotFoundError,
        PermissionError,
        AttributeError,
        RuntimeError,
    ],
)
def test_a_mistake_is_found_beside_the_losses_that_it_causes(kind: type[Exception]) -> None:
    error = kind("wrong")
    assert mistake_in(WorkerGroupError("", {0: CUT, 1: error, 2: DEAD})) is error


@pytest.mark.parametrize("failure", [ValueError("no such storage"), ActorDiedError()])
def test_a_fit_that_its_controller_gave_up_is_not_started_again(failure: Exception) -> None:
    assert mistake_in(ControllerError(failure)) is failure
    assert mistake_in(ActorDiedError()) is None, "the controller's own process"
