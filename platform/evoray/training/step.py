"""One optimizer step: forward and backward of every pass, gradients summed, reduced over the ranks
once, weights changed once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from evoray.training.config import TrainConfig
from evoray.training.process_group import Group
from evoray.training.recipe.distillation import adaptive_loss, hard_loss, soft_labels, soft_loss
from searchspaces.base import Architecture

Outputs = torch.Tensor | tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class ForwardPass:
    """One forward and backward of a step.

    Attributes:
        name: Under which its loss is reported: "largest", "random", "smallest", "network".
        forward: (b, c, h, w) -> (b, k) logits; where patches have labels too, these and (b, n, k)
            logits of the patches.
        teaches: Its soft labels teach the passes after it; of several that teach, the mean of
            theirs does.
        learns: From the teachers' soft labels, or else from hard ones.
        architecture: Whose loss it is, for the sampler; None where it is no single subnet's.
    """

    name: str
    forward: Callable[[torch.Tensor], Outputs]
    teaches: bool = False
    learns: bool = False
    architecture: Architecture | None = None


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
        self,
        forward_passes: Sequence[ForwardPass],
        x_bchw: torch.Tensor,
        labels: torch.Tensor,
        outside_bk: torch.Tensor | None = None,
        *,
        hard_share: float = 0.0,
        patches_bnk: torch.Tensor | None = None,
    ) -> list[float]:
        """Leaves the summed gradients, averaged over the ranks, in the parameters; the loss of each
        pass, likewise averaged.

        Passes that no other pass teaches learn from the hard labels, or where there are
        `outside_bk`, probabilities from outside, from those, with the hard labels at `hard_share`.
        Those are (b,) classes, or (b, k) probabilities of mixed images; `patches_bnk` are the
        patches', whose loss counts as much as the image's.
        """
        self.optimizer.zero_grad(set_to_none=True)
        losses: list[torch.Tensor] = []
        taught_bk: list[torch.Tensor] = []
        for one in forward_passes:
            with torch.autocast(
                self._device.type, dtype=torch.bfloat16, enabled=self._device.type == "cuda"
            ):
                outputs = one.forward(x_bchw)
            logits_bk, logits_bnk = outputs if isinstance(outputs, tuple) else (outputs, None)
            if one.learns and taught_bk:
                teacher_bk = torch.stack(taught_bk).mean(dim=0)
                loss = (adaptive_loss if self._config.divergence == "adaptive" else soft_loss)(
                    logits_bk, teacher_bk
                )
            else:
                loss = hard_loss(logits_bk, labels, self._config.label_smoothing)
                if outside_bk is not None:
                    loss = hard_share * loss + (1.0 - hard_share) * soft_loss(logits_bk, outside_bk)
            if logits_bnk is not None and patches_bnk is not None:
                loss = loss + hard_loss(
                    logits_bnk.flatten(0, 1),
                    patches_bnk.flatten(0, 1),
                    self._config.label_smoothing,
                )
            if one.teaches:
                taught_bk.append(soft_labels(logits_bk))
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        return self._reduce(torch.stack(losses))

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

    def _reduce(self, losses: torch.Tensor) -> list[float]:
        """Averages gradients and losses over the ranks in one message; the losses travel along so
        that every rank sees a NaN.
        """
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
        return [float(v) for v in losses.tolist()]


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
