"""Shared steps of the objectives on labelled images: opening a split, recalibrating, running the
network over it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from objectives.base import Candidate, LabelledSource, MeasurementError, Needs, Recalibration


class LabelledImages:
    """A split's batches and a candidate's outputs on them.

    The subnet runs with the weights it inherits; `recalibrate` recomputes its batch-norm statistics
    on training images, as a subnet's statistics are its own (Yu et al. 2020, arXiv:2003.11142).
    """

    name = "labelled"

    def __init__(
        self,
        source: LabelledSource,
        recalibrate: Recalibration | None,
        *,
        split: str = "val",
        batch_size: int = 512,
        limit: int | None = None,
        needs: Needs | None = None,
    ) -> None:
        """`recalibrate` None measures the running statistics as they are; `limit` is the number of
        images used, None for all.
        """
        if batch_size < 1 or (limit is not None and limit < 1):
            raise ValueError(
                f"{self.name} needs a batch size and a limit of at least 1, got {batch_size} and "
                f"{limit}"
            )
        self._source = source
        self._recalibrate = recalibrate
        self._split = split
        self._batch_size = batch_size
        self._limit = limit
        self._needs = needs or Needs(cpus=1.0)
        self._batches: list[tuple[torch.Tensor, torch.Tensor]] | None = None
        self._device = torch.device("cpu")

    @property
    def needs(self) -> Needs:
        return self._needs

    def open(self, device: torch.device) -> None:
        """Reads the split and keeps its batches on `device`."""
        if self._batches is not None:
            return
        split = self._source.open(self._split)
        count = len(split) if self._limit is None else min(self._limit, len(split))
        # Evenly spread, so that a limit does not favour the classes that come first; shuffled, so
        # that a part does not either.
        chosen = torch.linspace(0, len(split) - 1, count).round().long()
        chosen = chosen[torch.randperm(count, generator=torch.Generator().manual_seed(0))]
        self._batches = [
            (split.images(part).to(device), split.labels[part].to(device))
            for part in torch.split(chosen, self._batch_size)
        ]
        self._device = device

    def _outputs(
        self, candidate: Candidate, share: float
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Finite outputs and labels, batch by batch, on a share of the images.

        Raises:
            MeasurementError: An output is not finite.
        """
        if self._batches is None:
            raise RuntimeError(f"{self.name} was not opened: call open(device) first")
        wanted = max(1, round(share * sum(len(labels) for _, labels in self._batches)))
        network = candidate.subnet.to(self._device)
        if self._recalibrate is not None:
            self._recalibrate(network, self._device)
        network.eval()
        total = 0
        with torch.inference_mode():
            for x_bchw, labels in self._batches:  # b batch, c channels, h height, w width
                if total >= wanted:
                    break
                x_bchw, labels = x_bchw[: wanted - total], labels[: wanted - total]
                outputs = network(x_bchw)
                if not torch.isfinite(outputs).all():
                    raise MeasurementError(f"{candidate.architecture.key}: outputs are not finite")
                total += len(labels)
                yield outputs, labels
