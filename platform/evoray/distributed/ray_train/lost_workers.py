"""Tells lost machines, which are worth another start of a training, from mistakes, which the next
start would repeat.
"""

from __future__ import annotations

import torch
import torch.distributed
from ray.exceptions import NodeDiedError, ObjectLostError, RayActorError, WorkerCrashedError
from ray.train import ControllerError, PreemptionError, TrainingFailedError, WorkerGroupError
from ray.train.v2._internal.exceptions import RayTrainError

# A worker's own error may be of a machine too: of its network, its processor or its storage.
_LOSSES = (
    RayTrainError,
    RayActorError,
    NodeDiedError,
    ObjectLostError,
    WorkerCrashedError,
    torch.AcceleratorError,
    torch.distributed.DistError,
    OSError,
)
_MISTAKEN_PATHS = (
    FileNotFoundError,
    FileExistsError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
)


def mistake_in(error: TrainingFailedError | RayActorError) -> BaseException | None:
    """The error that another start of the training would not mend; None where only workers, nodes
    or links were lost.

    One worker's mistake breaks the others' links, so theirs are told as losses beside it.
    """
    if isinstance(
        error, (RayActorError, PreemptionError)
    ):  # the controller's own process, or a node that is taken away
        return None
    if isinstance(error, WorkerGroupError):
        failures: list[BaseException] = [
            failure for _, failure in sorted(error.worker_failures.items())
        ]
        return next((failure for failure in failures if not _is_loss(failure)), None)
    # Also where a worker dies while the group is formed: of such a fit Ray 2.60 leaves the
    # placement group behind, for whose
    # processors another start would wait for ever.
    failed: BaseException = (
        error.controller_failure if isinstance(error, ControllerError) else error
    )
    return failed


def _is_loss(failure: BaseException) -> bool:
    return isinstance(failure, _LOSSES) and not isinstance(failure, _MISTAKEN_PATHS)
