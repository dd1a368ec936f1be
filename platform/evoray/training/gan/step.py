"""One step of a discriminator or a generator. What runs is a path: a network, or a supernet with an
architecture bound to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from evoray.training.gan.config import GanConfig
from evoray.training.gan.losses import discriminator_loss, generator_loss
from evoray.training.process_group import Group, SingleProcess

# b batch, c channels, h height, w width, z latent values

Path = Callable[[Tensor], Tensor]


class Player:
    """One network with its Adam; steps leave weights that the path did not touch, and their
    moments, as they are.

    In a group of several ranks, all of which run the same path, gradients are averaged over them.

    Attributes:
        network: Network that is trained.
    """

    def __init__(
        self,
        network: nn.Module,
        learning_rate: float,
        config: GanConfig,
        group: Group | None = None,
    ) -> None:
        self.network = network
        self._config, self._rate, self._group = config, learning_rate, group or SingleProcess()
        self.optimizer = self._fresh()

    def forget(self) -> None:
        """Starts Adam's moments anew."""
        self.optimizer = self._fresh()

    def descend(self, loss: Tensor) -> bool:
        """One step down; False, and nothing changed, where loss or gradient is not finite."""
        self.optimizer.zero_grad(set_to_none=True)
        if self._group.world_size == 1 and not math.isfinite(loss.item()):
            return False
        loss.backward()  # type: ignore[no-untyped-call]
        reached = [p for p in self.network.parameters() if p.grad is not None]
        self._average([p.grad for p in reached if p.grad is not None])
        norm = nn.utils.clip_grad_norm_(reached, self._config.clip_norm or math.inf)
        if not math.isfinite(float(norm)):
            return False
        self.optimizer.step()
        return True

    def _average(self, gradients: list[Tensor]) -> None:
        """Over the ranks in one message; what is not finite on one rank then is so on all, and all
        skip the step.
        """
        if self._group.world_size == 1:
            return
        flat = torch.cat([g.flatten() for g in gradients])
        self._group.add_up(flat)
        for gradient, mean in zip(
            gradients,
            torch.split(flat / self._group.world_size, [g.numel() for g in gradients]),
            strict=True,
        ):
            gradient.copy_(mean.view_as(gradient))

    def _fresh(self) -> torch.optim.Adam:
        return torch.optim.Adam(self.network.parameters(), lr=self._rate, betas=self._config.betas)


def discriminator_step(
    player: Player, path: Path, generator_path: Path, real_bchw: Tensor, z_bz: Tensor
) -> float:
    """Trains the discriminator on real images and as many generated ones; its loss, not finite
    where nothing was changed.

    The generator runs without gradients, in the mode it is in.
    """
    with torch.no_grad():
        fake_bchw = generator_path(z_bz)
    loss = discriminator_loss(path(real_bchw), path(fake_bchw))
    return loss.item() if player.descend(loss) else math.nan


def generator_step(
    player: Player, path: Path, discriminator: nn.Module, discriminator_path: Path, z_bz: Tensor
) -> float:
    """Trains the generator to be scored higher; its loss, not finite where nothing was changed. The
    discriminator gets no gradients.
    """
    with frozen(discriminator):
        loss = generator_loss(discriminator_path(path(z_bz)))
        return loss.item() if player.descend(loss) else math.nan


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Gradients flow through `network` but not into it."""
    needed = [p for p in network.parameters() if p.requires_grad]
    for parameter in needed:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in needed:
            parameter.requires_grad_(True)
