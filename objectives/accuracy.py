"""Top-1 accuracy of a candidate's own sub-network, its batch norm recalibrated first."""

from __future__ import annotations

import torch

from objectives.base import Candidate, DataSource, Goal, MeasurementError, Needs, Recalibration


class Accuracy:
    """Share of correctly classified images of one split, in percent.

    The subnet is measured with the weights it inherits; `recalibrate` recomputes its batch-norm statistics on training images, as
    a subnet's statistics are its own (Yu et al. 2020, arXiv:2003.11142). Deterministic on one kind of machine.

    Attributes:
        tolerance: By how much two measurements of one candidate may differ, in percent points.
    """

    name = "accuracy"
    unit = "%"
    goal = Goal.MAXIMIZE
    tolerance = 0.0

    def __init__(
        self,
        source: DataSource,
        recalibrate: Recalibration | None,
        *,
        split: str = "val",
        batch_size: int = 512,
        limit: int | None = None,
        needs: Needs | None = None,
    ) -> None:
        """`recalibrate` None measures the running statistics as they are; `limit` is the number of images used, None for all."""
        if batch_size < 1 or (limit is not None and limit < 1):
            raise ValueError(f"accuracy needs a batch size and a limit of at least 1, got {batch_size} and {limit}")
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
        count = len(split.labels) if self._limit is None else min(self._limit, len(split.labels))
        # Evenly spread, so that a limit does not favour the classes that come first; shuffled, so that a part does not either.
        chosen = torch.linspace(0, len(split.labels) - 1, count).round().long()
        chosen = chosen[torch.randperm(count, generator=torch.Generator().manual_seed(0))]
        self._batches = [(split.images(part).to(device), split.labels[part].to(device)) for part in torch.split(chosen, self._batch_size)]
        self._device = device

    def measure(self, candidate: Candidate) -> float:
        """Percent of the images of which the largest logit is the label's.

        Raises:
            MeasurementError: A logit is not finite.
        """
        return self._measure(candidate, 1.0)

    def measure_part(self, candidate: Candidate, share: float) -> float:
        """The same on the first images of a fixed random order of them; the calibration costs what it costs.

        Raises:
            MeasurementError: A logit is not finite.
        """
        return self._measure(candidate, share)

    def _measure(self, candidate: Candidate, share: float) -> float:
        if self._batches is None:
            raise RuntimeError("accuracy was not opened: call open(device) first")
        wanted = max(1, round(share * sum(len(labels) for _, labels in self._batches)))
        network = candidate.subnet.to(self._device)
        if self._recalibrate is not None:
            self._recalibrate(network, self._device)
        network.eval()
        correct = total = 0
        with torch.inference_mode():
            for x_bchw, labels in self._batches:  # b batch, c channels, h height, w width
                if total >= wanted:
                    break
                x_bchw, labels = x_bchw[: wanted - total], labels[: wanted - total]
                logits = network(x_bchw)
                if not torch.isfinite(logits).all():
                    raise MeasurementError(f"{candidate.architecture.key}: logits are not finite")
                correct += int((logits.argmax(dim=1) == labels).sum())
                total += len(labels)
        return 100.0 * correct / total


def build(source: DataSource, recalibrate: Recalibration | None = None) -> Accuracy:
    """Accuracy on the validation split of `source`."""
    return Accuracy(source, recalibrate)
