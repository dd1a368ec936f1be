"""Scoring of generators: the classifier that stands in for Inception, and one generator's scores on
several workers.

Apart from the pipeline, so that workers which run these functions import little.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch

from evoray.data.parts.images import LabelledImageSource
from evoray.distributed.tasks import run_tasks
from evoray.records.run_folder import RunFolder
from jobs.pipelines.gan.config import GanSearch
from jobs.pipelines.gan.results import FoundGenerator
from jobs.terminal.console import Terminal
from jobs.terminal.progress import phase, timed
from objectives.base import Needs
from objectives.inception import TrainedClassifier, classifier
from objectives.inception.extractors import Extractor
from objectives.inception.scorer import Part, Scorer


def trained_classifier(
    folder: RunFolder,
    config: GanSearch,
    source: LabelledImageSource,
    takes: Needs,
    console: Terminal,
) -> Extractor:
    """The one that was trained before, or a fresh one; always of the same seed, so that equal data
    means equal scores.
    """
    place = folder.path / "classifier"
    name = f"{source.name}-cnn"
    stored = sorted(place.glob(f"{name}-*.safetensors"))
    if not stored:
        with timed(folder, "classifier"), phase(console, "classifier", 1):
            arguments = [(str(place), name, config.measure.classifier_epochs, takes.gpus > 0)]
            stored = [
                Path(path)
                for path in run_tasks(
                    _train_classifier, arguments, shared=source, num_gpus=takes.gpus
                )
            ]
    return cast(Extractor, TrainedClassifier(stored[0]))


def _train_classifier(
    source: LabelledImageSource, place: str, name: str, epochs: int, use_gpu: bool
) -> str:
    torch.set_num_threads(1)
    device = torch.device("cuda" if use_gpu else "cpu")
    return str(
        classifier.write(classifier.train(source, epochs=epochs, device=device), name, Path(place))
    )


def score_on_ray(found: FoundGenerator, scorer: Scorer, num_workers: int) -> dict[str, float]:
    """IS with its spread, FID and KID of one generator; its images are made and seen by several
    workers, merged exactly.
    """
    bounds = [index * scorer.num_batches // num_workers for index in range(num_workers + 1)]
    arguments = [
        (found.network, found.key, start, stop) for start, stop in itertools.pairwise(bounds)
    ]
    parts: Sequence[Part] = list(run_tasks(_score_part, arguments, shared=scorer))
    whole = parts[0]
    for part in parts[1:]:
        whole.merge(part)
    scorer.open(torch.device("cpu"))
    scores = scorer.scores(whole)
    label = scorer.extractor.label
    names = {
        "is": scores.inception_score,
        "is_std": scores.inception_score_std,
        "fid": scores.frechet,
        "kid": scores.kernel,
    }
    return {f"{name}@{label}" if label else name: value for name, value in names.items()}


def _score_part(scorer: Scorer, network: torch.nn.Module, key: str, start: int, stop: int) -> Part:
    torch.set_num_threads(1)
    scorer.open(torch.device("cpu"))
    return scorer.part(network, key, range(start, stop))
