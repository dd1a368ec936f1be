"""The loop around every training: from the newest checkpoint to the end, with metrics, checkpoints,
and restarts after what is not finite. What is trained is a `Learner`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from evoray.training import checkpoints
from evoray.training.metrics_log import Intervals, Length, MetricsLog
from evoray.training.process_group import Group

_MAX_RESTARTS = 3  # after a loss or gradient that is not finite


@dataclass(frozen=True)
class StepReport:
    """One step as metrics.jsonl shows it.

    Attributes:
        losses: Losses by name; a name may come several times.
        learning_rate: Learning rate of the step.
        notes: Other figures, which the next line holds.
    """

    losses: Sequence[tuple[str, float]]
    learning_rate: float
    notes: dict[str, dict[str, float]] = field(default_factory=dict)


class Learner(Protocol):
    """One training on one rank: its steps, and all that they change by name."""

    def train(self, step: int, restarts: int) -> StepReport | None:
        """Trains one step; None, and nothing changed, where something is not finite, on every rank
        alike. Only who `Restarts` may say None.
        """
        ...

    def weights(self) -> dict[str, torch.Tensor]:
        """The tensors that others read from a checkpoint."""
        ...

    def optimizer(self) -> dict[str, torch.Tensor]:
        """The tensors that only the training needs."""
        ...

    def state(self) -> dict[str, Any]:
        """JSON: whatever else a resumed training needs."""
        ...

    def load(self, checkpoint: checkpoints.Checkpoint) -> None:
        """Stands where it stood when the checkpoint was written."""
        ...


@runtime_checkable
class Restarts(Protocol):
    """A learner that can begin anew, with other draws, after a step that was not finite."""

    def begin(self) -> None:
        """Puts everything back to before the first step."""
        ...

    @property
    def advice(self) -> str:
        """The end of the error when that did not help: what to change."""
        ...


class LoopOptions(Intervals, Protocol):
    """Intervals of writing, and the number of checkpoints that stay."""

    @property
    def keep_checkpoints(self) -> int: ...


class ResumableLoop:
    """Runs a learner on one rank; rank 0 writes checkpoints and metrics.jsonl to a folder that all
    ranks see.

    Attributes:
        next_step: The one that comes next.
        restarts: Restarts so far.
    """

    def __init__(
        self,
        learner: Learner,
        length: Length,
        options: LoopOptions,
        *,
        seed: int,
        folder: Path | None,
        group: Group,
        device: torch.device,
    ) -> None:
        """Makes the loop; with `folder` None nothing is read or written."""
        self._learner, self._length, self._options = learner, length, options
        self._seed, self._folder, self._group, self._device = seed, folder, group, device
        self._writes = folder is not None and group.rank == 0
        self._metrics_log = MetricsLog(folder if group.rank == 0 else None, options, length)
        self.next_step = 0
        self.restarts = 0
        self._restarted_from = 0  # step of the checkpoint that the last restart has loaded

    def run(self, until: int | None = None) -> None:
        """Trains up to a step, or to the end; returns at once where that is done.

        Raises:
            RuntimeError: Something was not finite again and again.
            ValueError: The checkpoint belongs to another training.
        """
        end = self._length.steps if until is None else until
        self.load_newest()
        self._resume_metrics()
        while self.next_step < end:
            step = self.next_step
            report = self._learner.train(step, self.restarts)
            if report is None:
                self._restart(step)
                continue
            self.next_step = step + 1
            last = self.next_step == end
            for name, values in report.notes.items():
                self._metrics_log.note(name, values)
            self._metrics_log.add(
                step, report.losses, report.learning_rate, self.restarts, flush=last
            )
            if self._writes and (last or self._metrics_log.is_checkpoint_due()):
                self._save()
        self._meet()

    def load_newest(self, given_up: int = 0) -> None:
        """Rank 0 finds the newest whole checkpoint but the one of step `given_up`, then all read
        that one. Metrics stay as they are.
        """
        self.next_step = 0
        if self._folder is None:
            return
        if self._group.rank == 0:
            if given_up:
                checkpoints.give_up(self._folder, given_up)
            found = checkpoints.latest_to_go_on(self._folder)
            self.next_step = found.state["step"] if found else 0
        step = self._meet()
        if step:
            self._load(checkpoints.Checkpoint.at(self._folder, step))
        self.next_step = step

    def _resume_metrics(self) -> None:
        if self._folder is not None:
            self._metrics_log.resume(self.next_step)

    def _restart(self, step: int) -> None:
        """Goes back to the last checkpoint, or the beginning, and on with other draws.

        A checkpoint from which it has failed once more is given up, and the one before it taken.
        """
        learner = self._learner
        assert isinstance(learner, Restarts)
        restarts = self.restarts + 1
        if restarts > _MAX_RESTARTS:
            raise RuntimeError(
                f"training diverged: the loss or its gradient was not finite at step {step + 1}, "
                f"after {_MAX_RESTARTS} restarts; {learner.advice}"
            )
        learner.begin()
        self.load_newest(given_up=self._restarted_from)
        self._resume_metrics()
        self._restarted_from = self.next_step
        self.restarts = restarts

    def _meet(self) -> int:
        """Waits for all ranks; the next step of rank 0."""
        value = torch.tensor(
            [float(self.next_step) if self._group.rank == 0 else 0.0], device=self._device
        )
        self._group.add_up(value)
        return int(value.item())

    def _load(self, checkpoint: checkpoints.Checkpoint) -> None:
        for name, mine in (("seed", self._seed), ("steps", self._length.steps)):
            if checkpoint.state[name] != mine:
                raise ValueError(
                    f"checkpoint {checkpoint.folder} is of another training ({name} "
                    f"{checkpoint.state[name]}, not {mine}): use a new folder"
                )
        self._learner.load(checkpoint)
        draws = checkpoint.state.get("rng", {})  # none in older checkpoints of GAN stages
        self.restarts = draws.get("restarts", 0)

    def _save(self) -> None:
        assert self._folder is not None
        learner = self._learner
        write_checkpoint(
            self._folder,
            self.next_step,
            learner.weights(),
            learner.optimizer(),
            learner.state(),
            seed=self._seed,
            length=self._length,
            options=self._options,
            restarts=self.restarts,
        )
        self._restarted_from = 0  # the next restart takes this checkpoint first


def write_checkpoint(
    folder: Path,
    step: int,
    weights: dict[str, torch.Tensor],
    optimizer: dict[str, torch.Tensor],
    state: dict[str, Any],
    *,
    seed: int,
    length: Length,
    options: LoopOptions,
    restarts: int = 0,
) -> None:
    """Writes what `ResumableLoop` goes on from: a learner's tensors and state after `step`
    steps.
    """
    whole = {
        "step": step,
        "steps": length.steps,
        "seed": seed,
        "rng": {"seed": seed, "step": step, "restarts": restarts},
        **state,
    }
    checkpoints.save(folder, weights, optimizer, whole, keep=options.keep_checkpoints)
