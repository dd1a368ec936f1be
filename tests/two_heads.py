"""A task that is no classification, through the same loop: clouds of points, as many as each likes,
whose mean and spread two heads tell; one part of the loss comes in as the training goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from evoray.seeds import generator_for
from evoray.training.config import TrainConfig
from evoray.training.loop import train_supernet
from evoray.training.process_group import TorchGroup
from evoray.training.tasks.base import EpochOrder, Moment
from searchspaces.base import Architecture, Choices, Gene, architectures

Cloud = Mapping[str, Tensor]  # points (n, 2), mean (2,), spread ()


@dataclass(frozen=True)
class CloudBatch:
    """Clouds of different numbers of points."""

    clouds: tuple[Cloud, ...]

    @property
    def inputs(self) -> list[Tensor]:
        return [cloud["points"] for cloud in self.clouds]

    def to(self, device: torch.device) -> Self:
        moved = tuple({n: t.to(device) for n, t in cloud.items()} for cloud in self.clouds)
        return type(self)(moved)

    def wanted(self, name: str) -> Tensor:
        return torch.stack([cloud[name] for cloud in self.clouds])


def labelled(points: Tensor) -> Cloud:
    return {"points": points, "mean": points.mean(dim=0), "spread": points.std()}


@dataclass(frozen=True)
class Clouds:
    """The task: the loss of the spread counts nothing at first and fully from the middle on."""

    name = "clouds"
    validated_by = "spread"
    num_examples: int = 48

    def open(self, network: nn.Module, teachers: Sequence[nn.Module]) -> CloudExamples:
        if teachers:
            raise ValueError("clouds have no teachers")
        return CloudExamples(self.num_examples)

    def losses(self, outputs: Mapping[str, Tensor], batch: CloudBatch) -> Mapping[str, Tensor]:
        return {name: F.mse_loss(value, batch.wanted(name)) for name, value in outputs.items()}

    def loss_weights(self, moment: Moment) -> Mapping[str, float]:
        return {"spread": min(1.0, 2.0 * moment.progress)}

    def plain_loss(self, outputs: Mapping[str, Tensor], batch: CloudBatch) -> Tensor:
        return torch.stack(list(self.losses(outputs, batch).values())).sum()


class CloudExamples:
    """Embedded; augmentation shifts a cloud, and its mean along."""

    def __init__(self, count: int) -> None:
        rng = generator_for(0, "clouds")
        sizes = rng.integers(3, 9, size=count)
        self._points = [
            torch.from_numpy(rng.normal(rng.normal(size=2), rng.uniform(0.5, 2), (n, 2))).float()
            for n in sizes
        ]
        self._order = EpochOrder(count)

    def batch(self, moment: Moment) -> CloudBatch:
        return CloudBatch(tuple(labelled(self._points[i]) for i in self._order.chosen(moment)))

    def augment(self, batch: CloudBatch, moment: Moment) -> CloudBatch:
        generator = torch.Generator().manual_seed(moment.seed_of("augmentation"))
        shifts = torch.randn(len(batch.clouds), 2, generator=generator)
        pairs = zip(batch.inputs, shifts, strict=True)
        return CloudBatch(tuple(labelled(points + shift) for points, shift in pairs))


class TwoHeads(nn.Module):
    """One layer of points whose first units a narrow network uses, and a head for each number."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.points = nn.Linear(4, width)
        self.mean, self.spread = nn.Linear(width, 2), nn.Linear(width, 1)

    def forward(
        self,
        clouds: Sequence[Tensor],
        architecture: Architecture | None = None,
        *,
        dropout: float = 0.0,
        drop_connect: float = 0.0,
    ) -> Mapping[str, Tensor]:
        width = len(self.points.bias) if architecture is None else WIDTHS[architecture.choices[0]]
        values = [torch.cat([points, points**2], dim=1) for points in clouds]
        weight, bias = self.points.weight[:width], self.points.bias[:width]
        pooled = [F.linear(v, weight, bias).relu().mean(dim=0) for v in values]
        x = F.dropout(torch.stack(pooled), dropout)
        heads = {"mean": self.mean, "spread": self.spread}
        found = {n: F.linear(x, head.weight[:, :width], head.bias) for n, head in heads.items()}
        return {"mean": found["mean"], "spread": found["spread"][:, 0]}


WIDTHS = (4, 8, 16)


class TwoHeadSpace:
    """Networks by width."""

    name = "two_heads"
    genes = (Gene("width", WIDTHS),)
    published: Mapping[str, Architecture] = {}

    def repair(self, choices: Choices) -> Choices:
        return np.asarray(choices, dtype=np.int16)

    def costs(self, choices: Choices) -> Mapping[str, Any]:
        widths = np.array(WIDTHS)[choices[:, 0]]
        return {"params": widths * 5 + widths * 3 + 3}

    def build_supernet(self) -> nn.Module:
        return TwoHeads(WIDTHS[-1])

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        return TwoHeads(WIDTHS[architecture.choices[0]])

    def of(self, choice: int) -> Architecture:
        return architectures(self, np.array([[choice]], dtype=np.int16))[0]


RECIPE = TrainConfig(
    epochs=5.0,
    batch_size=12,
    distillation=False,
    learning_rate=0.02,
    dropout=0.1,
    average_decay=0.5,
    log_every_steps=1,
    checkpoint_every_seconds=0.0,
    keep_checkpoints=99,
)


def train_rank(rank: int, place: str, world_size: int) -> None:
    """One process of a group that trains the supernet; they meet in a file in `place`."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{place}/meeting", rank=rank, world_size=world_size
    )
    folder = Path(place) / "supernet"
    train_supernet(TwoHeadSpace(), Clouds(), RECIPE, seed=1, folder=folder, group=TorchGroup())
    dist.destroy_process_group()
