"""Probes of stage 1: a generator's inherited FID, and its FID after training alone against the same
discriminator.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import torch

from evoray.evaluation.worker import Weights, supernet_with
from evoray.records.run_folder import RunFolder
from evoray.results.rank_correlation import Probe, Probing, choose_probes
from evoray.seeds import seed_for
from evoray.training import checkpoints
from evoray.training.gan.stage import FinalStage
from evoray.training.gan.training import part_of, train_from_scratch
from jobs.pipelines.evaluations import evaluated
from jobs.pipelines.gan.build import SearchSetup, build_setup
from jobs.pipelines.gan.config import GanSearch
from jobs.pipelines.gan.stages import Setting
from objectives.base import BuiltCandidate, Candidate
from objectives.inception import GenerativeScores, TrainedClassifier
from objectives.inception.extractors import Extractor
from searchspaces.base import SearchSpace, architectures


def fid_probing(folder: RunFolder, config: GanSearch, setup: SearchSetup, probes: int) -> Probing:
    """Prepares the stand-alone training of `probes` generators of stage 1's last round, spread over
    the inherited FID.

    Raises:
        ValueError: The stage has not so many records.
    """
    stage = RunFolder.open(folder.path / "generators")
    tensors, digest = checkpoints.load_weights(stage.supernet)
    table = evaluated(stage, digest)
    name = next(v["name"] for v in stage.job()["values"] if v["name"].startswith("fid"))
    weights = part_of(tensors, "generators")
    arguments = [
        (str(folder.path.absolute()), config, choices)
        for choices in choose_probes(table, probes, name)
    ]
    return Probing(stage, name, "", _measure, {n: t.numpy() for n, t in weights.items()}, arguments)


def setting_of(run: Path, config: GanSearch) -> Setting:
    """Setting for measuring in this process, with the extractor of a run that has one."""
    setup = build_setup(config)
    extractor = setup.extractor
    if extractor is None:
        extractor = cast(
            Extractor,
            TrainedClassifier(next(iter(sorted((run / "classifier").glob("*.safetensors"))))),
        )
    return Setting(config, setup, extractor, run / "reference", None)


def from_scratch_stage(setting: Setting, choices: tuple[int, ...], epochs: float) -> FinalStage:
    """One generator against stage 1's discriminator, both from fresh weights, by stage 1's recipe;
    its weights averaged as in the final training, because what a single step leaves swings more
    than generators differ."""
    setup, seed = setting.setup, seed_for(setting.config.seed, "probe")
    space = cast(SearchSpace, setup.generators)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = space.build_subnet(
            None, architectures(space, np.array([choices], dtype=np.int16))[0]
        )
    own = setting.config.generators.train
    gan = dataclasses.replace(own.gan, average_decay=setting.config.final.gan.average_decay)
    train = dataclasses.replace(own, gan=gan, warmup_epochs=0.0, rounds=1, epochs=epochs)
    return FinalStage(
        space, setup.source, train, setup.generators.latent, seed, network, setup.opponent
    )


def _measure(
    weights: Weights, run: str, config: GanSearch, choices: tuple[int, ...], gpus: float
) -> Probe:
    torch.set_num_threads(1)
    setting = setting_of(Path(run), config)
    space, device = (
        cast(SearchSpace, setting.setup.generators),
        torch.device("cuda" if gpus else "cpu"),
    )
    architecture = architectures(space, np.array([choices], dtype=np.int16))[0]
    scorer = setting.scorer(config.measure.num_images)
    scores: Mapping[str, GenerativeScores] = {
        "recalibrated": GenerativeScores(scorer, setting.calibration(), kinds=("fid",)),
        "without": GenerativeScores(scorer, None, kinds=("fid",)),
    }
    fid = scores["recalibrated"].yields[0].name
    supernet = supernet_with(space, weights).to(device)
    found = {}
    for name, score in scores.items():
        score.open(device)
        found[name] = score.measure(Candidate(space, architecture, supernet))[fid]
    train = config.generators.train
    network = train_from_scratch(
        from_scratch_stage(setting, choices, train.warmup_epochs + train.rounds * train.epochs),
        device,
    )
    alone = scores["recalibrated"].measure(BuiltCandidate(space, architecture, network))[fid]
    return Probe(architecture.key, found["recalibrated"], found["without"], alone)
