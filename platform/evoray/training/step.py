"""One optimizer step: forward and backward of every pass, gradients summed, reduced over the ranks
once, weights changed once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from evoray.training.config import TrainConfig
from evoray.training.process_group import Group
from evoray.training.tasks.base import (
    Batch,
    Distillable,
    Forward,
    Moment,
    Outputs,
    SoftLabels,
    Task,
    weighted_sum,
)
from searchspaces.base import Architecture


@dataclass(frozen=True)
class ForwardPass:
    """One forward and backward of a step.

    Attributes:
        name: Name under which its loss is reported: "largest", "random", "smallest", "network".
        forward: Forward pass, from a batch's inputs to outputs that the task's losses take.
        teaches: Its soft labels teach the passes after it; of several that teach, the mean of
            theirs does.
        learns: From the teachers' soft labels, or else from hard ones.
        architecture: Whose loss it is, for the sampler; None where it is no single subnet's.
    """

    name: str
    forward: Forward
    teaches: bool = False
    learns: bool = False
    architecture: Architecture | None = None


@dataclass(frozen=True)
class StepLosses:
    """The losses of a step, averaged over the ranks.

    Attributes:
        totals: Loss of each pass, as it was descended.
        parts: Parts of each pass's loss by name, before they are weighted; empty where the loss has
            one part.
    """

    totals: list[float]
    parts: list[dict[str, float]]

    @property
    def are_finite(self) -> bool:
        return all(map(math.isfinite, self.totals))

    def named(self, passes: Sequence[str]) -> list[tuple[str, float]]:
        """Each pass's loss by the pass's name, its parts by "PASS PART"."""
        found: list[tuple[str, float]] = []
        for name, total, parts in zip(passes, self.totals, self.parts, strict=True):
            found += [(name, total), *((f"{name} {part}", v) for part, v in parts.items())]
        return found


class Stepper:
    """Owns the optimizer of a module.

    The gradients of all passes are summed, not averaged, as in the released re-implementations of
    BigNAS; over the ranks they are averaged, so that the learning rate does not depend on their
    number. Weight decay is applied once a step to weights of two or more dimensions: as the largest
    subnet touches every weight, that is decay in its loss alone (arXiv:2003.11142, section 3.2).
    """

    def __init__(
        self, module: nn.Module, config: TrainConfig, group: Group, device: torch.device
    ) -> None:
        self._config = config
        self._group = group
        self._device = device
        self._parameters = [p for p in module.parameters() if p.requires_grad]
        groups = [
            {
                "params": [p for p in self._parameters if p.ndim > 1],
                "weight_decay": config.weight_decay,
            },
            {"params": [p for p in self._parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        groups = [g for g in groups if g["params"]]
        self.optimizer: torch.optim.Optimizer
        if config.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(
                groups,
                lr=config.learning_rate,
                momentum=config.momentum,
                nesterov=config.momentum > 0,
            )
        elif config.optimizer == "adamw":
            self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate)
        else:
            self.optimizer = torch.optim.RMSprop(
                groups, lr=config.learning_rate, alpha=0.9, momentum=config.momentum
            )

    def gradients(
        self, forward_passes: Sequence[ForwardPass], task: Task, batch: Batch, moment: Moment
    ) -> StepLosses:
        """Leaves the summed gradients, averaged over the ranks, in the parameters; the losses of
        each pass, likewise averaged.
        """
        self.optimizer.zero_grad(set_to_none=True)
        weights = task.loss_weights(moment)
        totals: list[torch.Tensor] = []
        parts: list[dict[str, torch.Tensor]] = []
        taught = _Taught(task)
        for one in forward_passes:
            with torch.autocast(
                self._device.type, dtype=torch.bfloat16, enabled=self._device.type == "cuda"
            ):
                outputs = one.forward(batch.inputs)
            found = (
                taught.losses(outputs, batch)
                if one.learns and taught.by
                else task.losses(outputs, batch)
            )
            loss = weighted_sum(found, weights)
            if one.teaches:
                taught.teach(outputs)
            loss.backward()  # type: ignore[no-untyped-call]
            totals.append(loss.detach())
            parts.append({name: part.detach() for name, part in found.items()})
        return self._reduce(totals, [named if len(named) > 1 else {} for named in parts])

    def step(self, learning_rate: float) -> bool:
        """Changes the weights once by the gradients that are there; False, and nothing changed,
        where their norm is not finite.

        A loss can be finite where a gradient is not. All ranks have the same summed gradients, so
        they decide alike.
        """
        if self._config.adaptive_clip:
            clip_adaptively(self._parameters, self._config.adaptive_clip)
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self._config.clip_norm or math.inf)
        if not math.isfinite(float(norm)):
            return False
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        return True

    def _reduce(
        self, totals: Sequence[torch.Tensor], parts: Sequence[Mapping[str, torch.Tensor]]
    ) -> StepLosses:
        """Averages gradients and losses over the ranks in one message; the losses travel along so
        that every rank sees a NaN.
        """
        losses = torch.stack([*totals, *(part for named in parts for part in named.values())])
        if self._group.world_size > 1:
            for parameter in self._parameters:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
            tensors = [p.grad for p in self._parameters if p.grad is not None]
            flat = torch.cat([losses.float(), *(t.flatten() for t in tensors)])
            self._group.add_up(flat)
            flat /= self._group.world_size
            losses = flat[: len(losses)]
            offset = len(losses)
            for tensor in tensors:
                tensor.copy_(flat[offset : offset + tensor.numel()].view_as(tensor))
                offset += tensor.numel()
        values = iter(float(v) for v in losses.tolist())
        means = [next(values) for _ in totals]
        return StepLosses(means, [{name: next(values) for name in named} for named in parts])


class _Taught:
    """Outputs of the passes of a step that teach, and the soft labels made of them."""

    def __init__(self, task: Task) -> None:
        self._task, self.by = task, list[Outputs]()
        self._labels: SoftLabels = None  # of all in `by`, once they are asked for

    def teach(self, outputs: Outputs) -> None:
        self.by.append(outputs)
        self._labels = None

    def losses(self, outputs: Outputs, batch: Batch) -> Mapping[str, torch.Tensor]:
        task = self._task
        assert isinstance(task, Distillable)
        if self._labels is None:
            self._labels = task.soft_labels(self.by)
        return task.soft_losses(outputs, batch, self._labels)


def clip_adaptively(
    parameters: Sequence[nn.Parameter], factor: float, *, least_norm: float = 1e-3
) -> None:
    """Scales down, in place, the gradient of each unit whose norm exceeds `factor` norms of its
    weights (Brock et al. 2021, arXiv:2102.06171).

    A unit is a row of a weight of two or more dimensions; a vector is one unit. Weights count with
    `least_norm` at least.
    """
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is None:
            continue
        rows = (len(parameter), -1) if parameter.ndim > 1 else (1, -1)
        weights, gradients = parameter.detach().reshape(rows), gradient.reshape(rows)
        allowed = factor * weights.norm(dim=1).clamp(min=least_norm)
        scale = (allowed / gradients.norm(dim=1).clamp(min=1e-6)).clamp(max=1.0)
        gradient.mul_(scale.view(-1, *[1] * (gradient.ndim - 1)) if parameter.ndim > 1 else scale)
