"""Runs EAGAN's search on digits beside its ablations and random pairs; one JSON line.

    evoray bench eagan --dir DIR [--seeds 3] [--random 20] [--epochs 8]
                       [--piece search:0 --piece ...]

Pieces, each for a seed: search (the digits preset, smaller), coupled (generator and discriminator
evolved together with as many generator steps), finals (the found, the coupled and random pairs, all
trained alone with one budget), repeats (the found and two random pairs by other seeds), resetting
(stage 2 from the same generator with and without weight resetting), trust (inherited against
stand-alone FID of 8 random generators); and once: speed, on Ray. What has a result in DIR is not
repeated. Two processes of one thread.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau

from benchmarks.parts.coupled import Coupled, CoupledStage
from benchmarks.parts.local_ray import local_ray
from evoray import searchers
from evoray.distributed.gan import train_pairs_on_ray
from evoray.engine.interleaved import best_row, first_population, measure_round, next_population
from evoray.evaluation.evaluator import LocalEvaluator
from evoray.evaluation.worker import supernet_with, weights_of
from evoray.problem.problem import Problem
from evoray.records.ledger import MemoryLedger, read_ledger
from evoray.records.rounds import round_ledgers
from evoray.records.run_folder import RunFolder, write_json
from evoray.seeds import generator_for, seed_for
from evoray.training import checkpoints
from evoray.training.gan.rounds import Round
from evoray.training.gan.stage import FinalStage
from evoray.training.gan.training import StageTraining, part_of, train_from_scratch
from jobs import eagan
from jobs.pipelines.gan import pipeline
from jobs.pipelines.gan.build import SearchSetup, build_setup
from jobs.pipelines.gan.config import GanSearch
from jobs.pipelines.gan.rank_correlation import from_scratch_stage
from jobs.pipelines.gan.results import GeneratorFinder
from jobs.pipelines.gan.run_files import read_pair
from jobs.pipelines.gan.scoring import score_on_ray
from jobs.pipelines.gan.stages import DiscriminatorRun, Setting
from jobs.terminal.console import Terminal
from objectives.base import Candidate
from objectives.inception import TrainedClassifier, classifier
from searchspaces.base import Architecture, architectures

_SEEDED = ("search", "coupled", "finals", "repeats", "resetting", "trust")
_REPEATS = 4
_PROBES = 8


def config_of(seed: int) -> GanSearch:
    """The digits preset at two thirds of its channels and half of its epochs, without its final
    training.
    """
    preset = eagan.digits()
    stages: dict[str, Any] = {}
    for name, warmup in (("generators", 6.0), ("discriminators", 1.0)):
        options = getattr(preset, name)
        train = dataclasses.replace(options.train, warmup_epochs=warmup, rounds=4, epochs=2.0)
        stages[name] = dataclasses.replace(options, channels=8, train=train)
    return dataclasses.replace(
        preset, seed=seed, final=dataclasses.replace(preset.final, epochs=0.0), **stages
    )


def setting_of(folder: Path, seed: int, config: GanSearch | None = None) -> Setting:
    """All in this process, scored by one classifier for all seeds."""
    torch.set_num_threads(1)
    config = config or config_of(seed)
    setup = build_setup(config)
    extractor: Any = TrainedClassifier(next(iter((folder / "classifier").glob("*.safetensors"))))
    return Setting(config, setup, extractor, folder / "reference", None)


# --- the searches


def search(folder: Path, seed: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """Generators first, discriminators then: the job's own stages."""
    return searched(folder / f"search-{seed}", setting_of(folder, seed))


def searched(place: Path, setting: Setting) -> dict[str, Any]:
    """Runs both stages in `place`, or goes on with them."""
    start = time.monotonic()
    if not (place / "job.json").is_file():
        RunFolder.create(
            place, pipeline.PIPELINE.job_of("eagan", "digits", setting.config, setting.setup)
        )
    folder = RunFolder(place)
    pipeline.search(
        folder,
        setting,
        GeneratorFinder(folder, setting.config, setting.setup),
        Terminal(quiet=True),
    )
    return {**read_pair(folder), "seconds": time.monotonic() - start}


def coupled(folder: Path, seed: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """Both at once: as many rounds as the two stages have together, and as many generator steps."""
    start = time.monotonic()
    setting = setting_of(folder, seed)
    setup, config = setting.setup, setting.config
    parts: Any = (setup.generators, setup.discriminators)
    space: Any = Coupled(name="eagan-coupled", labels=("g", "d"), parts=parts)
    first, second = config.generators.train, config.discriminators.train
    share = (second.gan.critic_steps) ** -1  # a group of stage 2 sees so many batches
    rounds = first.rounds + second.rounds
    epochs = (first.rounds * first.epochs + share * second.rounds * second.epochs) / rounds
    recipe = dataclasses.replace(
        first,
        rounds=rounds,
        epochs=epochs,
        warmup_epochs=first.warmup_epochs + share * second.warmup_epochs,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed_for(seed, "coupled discriminators"))
        opponent = setup.discriminators.build_supernet()
    stage = CoupledStage(space, setup.source, recipe, setup.generators.latent, seed, opponent)
    problem = setting.problem(space)
    searcher: Any = searchers.load(
        "one_gene", problem, seed=seed, population=config.generators.population // 2
    )
    population, done, place = (
        first_population(searcher, problem, config.generators.population),
        [],
        folder / f"coupled-{seed}",
    )
    shutil.rmtree(place, ignore_errors=True)  # its rounds leave no ledgers to go on from
    for number in range(rounds):
        done.append(Round(population.architectures(space)))
        StageTraining(stage, done, folder=place).run()
        checkpoint = checkpoints.latest(place)
        assert checkpoint is not None
        records = measure_coupled(setting, problem, space, population, checkpoint, number)
        if number + 1 < rounds:
            population = next_population(
                searcher, problem, population, records, by=problem.targets[1]
            )
    best = records[best_row(problem, records, problem.targets[1])]
    own = space.architectures(architectures(space, np.array([best.choices], dtype=np.int16))[0])
    named = {"generator": "g", "discriminator": "d"}
    return {
        **{
            name: {"choices": list(own[label].choices), "values": dict(best.values)}
            for name, label in named.items()
        },
        "seconds": time.monotonic() - start,
    }


def measure_coupled(
    setting: Setting, problem: Problem, space: Any, population: Any, checkpoint: Any, number: int
) -> Any:
    """The round's records, measured in this process."""
    tensors = checkpoint.weights()
    supernet = space.build_supernet()
    supernet.networks["g"].load_state_dict(part_of(tensors, "generators"))
    return measure_round(
        problem,
        population,
        LocalEvaluator(problem, weights_of(supernet)),
        MemoryLedger(len(space.genes)),
        number,
    )


# --- what the found is compared with


def finals(folder: Path, seed: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """IS, FID and parameters of the found, the coupled and random pairs after one budget of
    training alone.
    """
    found = {}
    for name, pair in pairs_of(folder, seed, options["random"]).items():
        file = folder / f"finals-{seed}" / f"{name}.json"
        if not file.is_file():
            file.parent.mkdir(exist_ok=True)
            write_json(file, train_pair(folder, name, pair, seed, options["epochs"]))
        found[name] = json.loads(file.read_text(encoding="utf-8"))
    return {"pairs": found}


def pairs_of(folder: Path, seed: int, num_random: int) -> dict[str, tuple[Any, Any]]:
    """Choices of generator and discriminator by name."""
    pairs = {name: result(folder, f"{name}:{seed}") for name in ("search", "coupled")}
    chosen: dict[str, Any] = {
        name: tuple(tuple(pair[kind]["choices"]) for kind in ("generator", "discriminator"))
        for name, pair in pairs.items()
        if pair
    }
    setup, rng = setting_of(folder, seed).setup, generator_for(seed, "random pairs")
    for number in range(num_random):
        spaces: Any = (setup.generators, setup.discriminators)
        chosen[f"random-{number}"] = tuple(
            tuple(space.repair(space.sample(1, rng))[0].tolist()) for space in spaces
        )
    return chosen


def repeats(folder: Path, seed: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """FID of the found pair and of two random ones, trained by other seeds: what of a difference is
    training's luck.
    """
    chosen = pairs_of(folder, seed, 2)
    others = [100 * (seed + 1) + number for number in range(_REPEATS)]
    names = ("search", "random-0", "random-1")
    return {
        name: [
            train_pair(folder, name, chosen[name], other, options["epochs"])["fid"]
            for other in others
        ]
        for name in names
    }


def train_pair(
    folder: Path, name: str, pair: tuple[Any, Any], seed: int, epochs: float
) -> dict[str, Any]:
    """One pair, from fresh weights."""
    setting = setting_of(folder, seed)
    setup = setting.setup
    chosen = {
        kind: {"choices": choices}
        for kind, choices in zip(("generator", "discriminator"), pair, strict=True)
    }
    recipe = dataclasses.replace(setting.config.final, gan=eagan.digits().final.gan, epochs=epochs)
    stage, members = pipeline.final_stage(
        dataclasses.replace(setting, config=dataclasses.replace(setting.config, final=recipe)),
        chosen,
    )
    return {"name": name, **scored_alone(setting, stage, members[0]), **sizes(setup, pair)}


def scored_alone(setting: Setting, stage: FinalStage, member: Architecture) -> dict[str, float]:
    """Scores after the training."""
    start = time.monotonic()
    network = train_from_scratch(stage)
    setting.calibration()(network, torch.device("cpu"))
    scorer = setting.scorer(2000)
    scorer.open(torch.device("cpu"))
    scores = scorer.scores(scorer.part(network, member.key))
    return {
        "is": scores.inception_score,
        "fid": scores.frechet,
        "kid": scores.kernel,
        "seconds": time.monotonic() - start,
    }


def sizes(setup: SearchSetup, pair: tuple[Any, Any]) -> dict[str, float]:
    """Parameters of both networks."""
    spaces = (setup.generators, setup.discriminators)
    rows = [np.array([choices], dtype=np.int16) for choices in pair]
    return {
        f"params_{n}": float(s.costs(r)["params"][0])
        for n, s, r in zip("gd", spaces, rows, strict=True)
    }


# --- weight resetting, trust, speed


def resetting(folder: Path, seed: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """FID of the population in each round of stage 2, from the search's own generator, 8 rounds of
    one epoch.
    """
    found: dict[str, Any] = {}
    for name, resets in (("on", True), ("off", False)):
        place = folder / f"resetting-{name}-{seed}"
        config = config_of(seed)
        train = dataclasses.replace(config.discriminators.train, rounds=8, epochs=1.0)
        config = dataclasses.replace(
            config,
            discriminators=dataclasses.replace(
                config.discriminators, weight_resetting=resets, train=train
            ),
        )
        if not (place / "generators").is_dir():
            shutil.copytree(folder / f"search-{seed}" / "generators", place / "generators")
            write_json(
                place / "job.json",
                pipeline.PIPELINE.job_of("eagan", "digits", config, build_setup(config)),
            )
        pair = searched(place, setting_of(folder, seed, config))
        rounds = [read_ledger(r) for r in round_ledgers(RunFolder(place / "discriminators"))]
        fids = [
            [v for v in table["fid@digits-cnn"].to_pylist() if v is not None]
            for table in rounds
            if table is not None
        ]
        found[name] = {
            "fid_by_round": fids,
            "fid_of_the_pair": pair["discriminator"]["values"]["fid@digits-cnn"],
        }
    return found


def trust(folder: Path, seed: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """Kendall's tau of inherited FID against training alone, of 8 of 32 random generators, evenly
    spread over the inherited ranks.
    """
    setting = setting_of(folder, seed)
    space: Any = setting.setup.generators
    checkpoint = checkpoints.latest(folder / f"search-{seed}" / "generators" / "supernet")
    assert checkpoint is not None
    supernet = supernet_with(
        space, {n: t.numpy() for n, t in part_of(checkpoint.weights(), "generators").items()}
    )
    problem = setting.problem(space)
    objective, fid_name = problem.measured[0], problem.targets[1]
    objective.open(torch.device("cpu"))
    drawn = architectures(space, space.sample(32, generator_for(seed, "probes")))
    inherited = sorted(
        (objective.measure(Candidate(space, a, supernet))[fid_name], a)
        for a in {a.key: a for a in drawn}.values()
    )
    chosen = [inherited[i] for i in np.linspace(0, len(inherited) - 1, _PROBES).round().astype(int)]
    pairs = [
        (fid, probe_alone(folder, architecture.choices, seed, options["epochs"]))
        for fid, architecture in chosen
    ]
    return {"probes": pairs, "tau": float(kendalltau(*zip(*pairs, strict=True)).statistic)}


def probe_alone(folder: Path, choices: tuple[int, ...], seed: int, epochs: float) -> float:
    """FID of one generator trained alone against stage 1's discriminator, by stage 1's recipe."""
    setting = setting_of(folder, seed)
    space: Any = setting.setup.generators
    member = architectures(space, np.array([choices], dtype=np.int16))[0]
    return scored_alone(setting, from_scratch_stage(setting, choices, epochs), member)["fid"]


def speed(folder: Path, seed: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """Images/s through generator and classifier, and groups/s of stage 2, with 1 and 2 workers, in
    turns.
    """
    setting = setting_of(folder, 0)
    finder = GeneratorFinder(RunFolder(folder / "search-0"), setting.config, setting.setup)
    found, scorer, num_images = finder.pick("best:fid"), setting.scorer(20_000), 20_000
    config = setting.config
    train = dataclasses.replace(
        config.discriminators.train, warmup_epochs=0.0, rounds=1, epochs=3.0
    )
    stage = dataclasses.replace(
        DiscriminatorRun(
            setting,
            generator_of(setting, folder),
            finder.generator(read_pair(RunFolder(folder / "search-0"))["generator"]),
        ).stage,
        config=train,
    )  # type: ignore[type-var]
    space: Any = setting.setup.discriminators
    members = tuple(
        architectures(
            space, space.sample(config.discriminators.population, generator_for(0, "speed"))
        )
    )
    rates: dict[str, dict[int, list[float]]] = {"images": {1: [], 2: []}, "groups": {1: [], 2: []}}
    for repeat in range(-1, 3):  # the first fills caches and starts workers
        for workers in (1, 2):
            start = time.monotonic()
            score_on_ray(found, scorer, workers)
            images = num_images / (time.monotonic() - start)
            place = folder / f"speed-{workers}-{repeat}"
            start = time.monotonic()
            train_pairs_on_ray(stage, [Round(members)], folder=place, num_workers=workers)
            checkpoint = checkpoints.latest(place)
            assert checkpoint is not None
            groups = checkpoint.state["step"] / (time.monotonic() - start)
            shutil.rmtree(place)
            if repeat >= 0:
                rates["images"][workers].append(images)
                rates["groups"][workers].append(groups)
    return {
        f"{kind}_per_second": {str(n): [round(v, 1) for v in values] for n, values in of.items()}
        for kind, of in rates.items()
    }


def generator_of(setting: Setting, folder: Path) -> Architecture:
    """The search's own."""
    choices = read_pair(RunFolder(folder / "search-0"))["generator"]["choices"]
    space: Any = setting.setup.generators
    return architectures(space, np.array([choices], dtype=np.int16))[0]


# --- pieces and their summary


def result(folder: Path, piece: str) -> dict[str, Any]:
    """Reads the result of a piece, {} before it has one."""
    file = folder / f"{piece.replace(':', '-')}.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def summary(folder: Path, seeds: int) -> dict[str, Any]:
    """[mean, smallest, largest] over the seeds of what there is."""
    line: dict[str, Any] = {}
    done = [r["pairs"] for s in range(seeds) if (r := result(folder, f"finals:{s}"))]
    for name in ("fid", "is", "params_g", "params_d"):
        for pair in ("search", "coupled"):
            line[f"{pair}_{name}"] = spread([p[pair][name] for p in done if pair in p])
        others = [[p[key][name] for key in p if key.startswith("random")] for p in done]
        line[f"random_{name}"] = [round(statistics.median(values), 2) for values in others]
    line["random_pairs"] = [sum(key.startswith("random") for key in p) for p in done]
    for pair in ("search", "coupled"):
        line[f"random_better_than_{pair}"] = [
            sum(p[key]["fid"] < p[pair]["fid"] for key in p if key.startswith("random"))
            for p in done
            if pair in p
        ]
    luck = [result(folder, f"repeats:{seed}") for seed in range(seeds)]
    deviations = [statistics.stdev(fids) for found in luck for fids in found.values()]
    line["fid_std_of_a_pair_over_seeds"] = spread(deviations)
    for name in ("on", "off"):
        runs = [r[name] for s in range(seeds) if (r := result(folder, f"resetting:{s}"))]
        medians = [[statistics.median(fids) for fids in run["fid_by_round"]] for run in runs]
        line[f"resetting_{name}_std_of_median_fid_over_rounds"] = [
            round(statistics.stdev(m), 2) for m in medians
        ]
        line[f"resetting_{name}_worst_fid"] = [
            round(max(map(max, run["fid_by_round"])), 1) for run in runs
        ]
        line[f"resetting_{name}_last_median_fid"] = [round(m[-1], 2) for m in medians]
        line[f"resetting_{name}_pair_fid"] = [round(run["fid_of_the_pair"], 2) for run in runs]
    line["tau"] = [round(r["tau"], 3) for s in range(seeds) if (r := result(folder, f"trust:{s}"))]
    return {**line, **result(folder, "speed")}


def spread(values: Sequence[float]) -> list[float]:
    return (
        [round(v, 2) for v in (statistics.mean(values), min(values), max(values))] if values else []
    )


def carry_out(work: tuple[Path, str, Mapping[str, Any]]) -> None:
    """One piece, unless it has a result."""
    folder, piece, options = work
    name, _, seed = piece.partition(":")
    works = {
        work.__name__: work for work in (search, coupled, finals, repeats, resetting, trust, speed)
    }
    if not result(folder, piece):
        write_json(
            folder / f"{piece.replace(':', '-')}.json", works[name](folder, int(seed or 0), options)
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench eagan")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--random", type=int, default=20)
    parser.add_argument("--epochs", type=float, default=8.0, help="of training a pair alone")
    parser.add_argument(
        "--piece",
        action="append",
        default=[],
        help="such as search:0; all that are missing without it",
    )
    options = vars(parser.parse_args())
    folder: Path = options["dir"]
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob("classifier/*.safetensors")):
        source = build_setup(config_of(0)).source
        classifier.write(classifier.train(source), f"{source.name}-cnn", folder / "classifier")
    pieces = options["piece"] or [
        *(f"{name}:{seed}" for name in _SEEDED for seed in range(options["seeds"])),
        "speed",
    ]
    for name in _SEEDED:  # the later ones read what the earlier ones found
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
            list(
                pool.map(
                    carry_out,
                    [
                        (folder, piece, options)
                        for piece in pieces
                        if piece.partition(":")[0] == name
                    ],
                )
            )
    if "speed" in pieces:
        with local_ray(2):
            carry_out((folder, "speed", options))
    print(json.dumps({"benchmark": "eagan", **summary(folder, options["seeds"])}))


if __name__ == "__main__":
    main()
