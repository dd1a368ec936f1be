"""The two stages of a run: each is a run folder inside the run's, trained and measured round by
round.

What was done before is not repeated: training goes on from its newest checkpoint, rounds that were
measured are read from their ledgers, and the populations follow from the seed and those records.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from evoray import searchers
from evoray.distributed.evaluation.evaluator import RayEvaluator
from evoray.distributed.gan import calendar_of, train_pairs_on_ray, train_stage_on_ray
from evoray.engine.interleaved import Population, first_population, measure_round, next_population
from evoray.evaluation.evaluator import Evaluator, LocalEvaluator
from evoray.evaluation.worker import Weights
from evoray.problem.problem import Problem, describe
from evoray.records.records import Records
from evoray.records.rounds import round_ledger
from evoray.records.run_folder import RunFolder
from evoray.records.weights_digest import keep_only
from evoray.searchers.one_gene import OneGene
from evoray.seeds import seed_for
from evoray.training import checkpoints
from evoray.training.checkpoints import Checkpoint
from evoray.training.gan.calibration import LatentCalibration
from evoray.training.gan.images import image_splits
from evoray.training.gan.rounds import Round
from evoray.training.gan.stage import DiscriminatorStage, GeneratorStage, Stage
from evoray.training.gan.training import part_of, train_rounds
from jobs.pipelines.evaluations import ledger_of, write_front
from jobs.pipelines.gan.build import SearchSetup
from jobs.pipelines.gan.config import DiscriminatorOptions, GanSearch, GeneratorOptions
from jobs.pipelines.gan.run_files import write_collapses
from jobs.pipelines.phases import pool_of
from jobs.terminal.console import Terminal
from jobs.terminal.progress import phase, tailing, timed
from objectives import complexity
from objectives.base import CostModel, Measurable, Needs
from objectives.inception import GenerativeScores, Scorer
from objectives.inception.extractors import Extractor
from searchspaces.base import Architecture, SearchSpace
from searchspaces.eagan.pairs import Pairs, copies_state


@dataclass(frozen=True)
class Setting:
    """Configuration, parts and resources that both stages of a run need.

    Attributes:
        config: Configuration of the run.
        setup: Objects that the configuration means.
        extractor: Feature extractor, opened by workers.
        cache: Folder for reference statistics.
        takes: Resources of one process of training or scoring. Objective actors stay while the
            supernet trains on, though they rest, so together all of them take no more than the
            cluster has. None for all in this process, without Ray.
    """

    config: GanSearch
    setup: SearchSetup
    extractor: Extractor
    cache: Path
    takes: Needs | None

    def scorer(self, num_images: int) -> Scorer:
        return Scorer(
            self.setup.source,
            self.extractor,
            latent=self.setup.generators.latent,
            num_images=num_images,
            num_splits=10 if num_images >= 100 else 2,
            seed=seed_for(self.config.seed, "scores") % 2**32,
            reference_splits=image_splits(self.setup.source),
            cache=self.cache,
            allow_few=self.config.measure.allow_few,
        )

    def calibration(self) -> LatentCalibration:
        return LatentCalibration(
            latent=self.setup.generators.latent,
            num_images=self.config.measure.calibration_images,
            seed=self.config.seed,
        )

    def problem(self, space: SearchSpace) -> Problem:
        """IS up, FID and parameters down, of candidates of this space."""
        scores = GenerativeScores(
            self.scorer(self.config.measure.num_images),
            self.calibration(),
            kinds=("is", "fid"),
            needs=self.takes or Needs(),
        )
        costs = (complexity.Cost(space, "params"), complexity.Cost(space, "macs"))
        targets = (*(value.name for value in scores.yields), "params")
        return Problem(
            space, (cast(Measurable, scores),), cast(tuple[CostModel, ...], costs), targets
        )


class StageRun(Protocol):
    """Stage as a run drives it: its training, its rounds, the spaces that are measured."""

    @property
    def name(self) -> str: ...

    @property
    def options(self) -> GeneratorOptions | DiscriminatorOptions: ...

    @property
    def stage(self) -> Stage: ...

    def train(self, rounds: Sequence[Round], folder: Path) -> None: ...

    def round(self, population: Population) -> Round: ...

    def space(self, population: Population) -> SearchSpace:
        """Space of the networks that are measured."""
        ...

    def weights(self, checkpoint: Checkpoint) -> Weights: ...


class GeneratorRun:
    """Stage 1."""

    name = "generators"

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self.options = setting.config.generators
        space = setting.setup.generators
        self.stage: Stage = GeneratorStage(
            cast(SearchSpace, space),
            setting.setup.source,
            self.options.train,
            space.latent,
            setting.config.seed,
            setting.setup.opponent,
        )

    def train(self, rounds: Sequence[Round], folder: Path) -> None:
        cluster, takes = self._setting.config.cluster, self._setting.takes
        if takes is None:
            train_rounds(self.stage, rounds, folder)
        else:
            workers, failures = cluster.train_workers, cluster.max_failures
            train_stage_on_ray(
                self.stage,
                rounds,
                folder=folder,
                num_workers=workers,
                takes=takes,
                max_failures=failures,
            )

    def round(self, population: Population) -> Round:
        return Round(population.architectures(self.stage.space))

    def space(self, population: Population) -> SearchSpace:
        return self.stage.space

    def weights(self, checkpoint: Checkpoint) -> Weights:
        return {
            name: tensor.numpy()
            for name, tensor in part_of(checkpoint.weights(), "generators").items()
        }


class DiscriminatorRun:
    """Stage 2."""

    name = "discriminators"

    def __init__(self, setting: Setting, generator: Architecture, generator_weights: Any) -> None:
        """`generator_weights` is the network of stage 1 itself, an nn.Module."""
        self._setting, self._generator = setting, generator
        self.options: DiscriminatorOptions = setting.config.discriminators
        self._space = setting.setup.discriminators
        self.stage: Stage = DiscriminatorStage(
            cast(SearchSpace, self._space),
            setting.setup.source,
            self.options.train,
            setting.setup.generators.latent,
            seed_for(setting.config.seed, "stage 2"),
            generator_weights,
            self.options.population,
        )

    def train(self, rounds: Sequence[Round], folder: Path) -> None:
        cluster, takes = self._setting.config.cluster, self._setting.takes
        if takes is None:
            if self.options.pairing != "serial":
                raise ValueError(
                    "discriminators.pairing 'averaged' needs several workers: without Ray pairs "
                    "train in turn"
                )
            train_rounds(self.stage, rounds, folder)
        elif self.options.pairing == "serial":
            train_stage_on_ray(
                self.stage, rounds, folder=folder, takes=takes, max_failures=cluster.max_failures
            )
        else:
            train_pairs_on_ray(
                self.stage,
                rounds,
                folder=folder,
                num_workers=self.options.pair_workers,
                every_steps=self.options.average_every_steps,
                takes=takes,
                max_failures=cluster.max_failures,
            )

    def round(self, population: Population) -> Round:
        resets = self.options.weight_resetting
        origins = (population.best,) if resets and population.origins else population.origins
        return Round(population.architectures(self.stage.space), origins, resets)

    def space(self, population: Population) -> SearchSpace:
        keys = tuple(key.decode() for key in population.keys.tolist())
        generators = cast(SearchSpace, self._setting.setup.generators)
        return cast(SearchSpace, Pairs(self._space, generators, self._generator, keys))

    def weights(self, checkpoint: Checkpoint) -> Weights:
        tensors = checkpoint.weights()
        copies = [
            part_of(tensors, f"generator-{index}") for index in range(self.options.population)
        ]
        return {name: tensor.numpy() for name, tensor in copies_state(copies).items()}


def carry_out_stage(
    folder: RunFolder, run: StageRun, setting: Setting, console: Terminal
) -> Population:
    """Trains and measures every round; the last population, whose records are the stage's ledger
    and front.

    Raises:
        RuntimeError: Training or a round's measurements cannot go on; what is done stays.
    """
    train, total = run.options.train, calendar_of(run.stage).total
    problem = setting.problem(run.stage.space)
    searcher = _searcher(run, setting, problem)
    population = first_population(searcher, problem, run.options.population)
    rounds: list[Round] = []
    with closing(Scoring(folder, run, setting, console)) as scoring:
        for number in range(train.rounds):
            rounds.append(run.round(population))
            if not is_measured(folder, number, len(population.choices), problem):
                with (
                    timed(folder, "train"),
                    phase(console, run.name, total) as bar,
                    tailing(folder.metrics, bar),
                ):
                    run.train(rounds, folder.supernet)
            records = scoring.measure(population, number)
            if number + 1 < train.rounds:
                population = next_population(
                    searcher, problem, population, records, by=problem.targets[1]
                )
    _conclude(folder, problem, records)
    return population


def _searcher(run: StageRun, setting: Setting, problem: Problem) -> OneGene:
    options = run.options
    found = searchers.load(
        "one_gene",
        problem,
        seed=seed_for(setting.config.seed, run.name),
        population=max(1, options.population // 2),
        crossover_probability=options.crossover_probability,
        mutation_probability=options.mutation_probability,
        selector=options.selector,
    )
    return cast(OneGene, found)


def is_measured(folder: RunFolder, number: int, size: int, problem: Problem) -> bool:
    """Returns True once the round's ledger has a record of each of its `size` candidates."""
    place = round_ledger(folder, number)
    if not place.exists():
        return False
    with ledger_of(place, problem) as ledger:
        return len(ledger) == size


class Scoring:
    """Measures a stage's rounds, on actors that stay from round to round where training leaves them
    their place.
    """

    def __init__(
        self, folder: RunFolder, run: StageRun, setting: Setting, console: Terminal
    ) -> None:
        self._folder, self._run, self._setting, self._console = folder, run, setting, console
        self._evaluator: RayEvaluator | None = None  # None too where all happens in this process

    def measure(self, population: Population, number: int) -> Records:
        """The round's records in the order of the population; what its ledger has is not measured
        again.
        """
        problem = self._setting.problem(self._run.space(population))
        size = len(population.choices)
        checkpoint = checkpoints.latest(self._folder.supernet)
        if checkpoint is not None and checkpoint.state["step"] == calendar_of(
            self._run.stage
        ).start(number + 1):  # else it is of a later round
            keep_only(checkpoint.digest, round_ledger(self._folder, number))
        with ledger_of(round_ledger(self._folder, number), problem) as ledger:
            if len(ledger) == size:
                return ledger.take(ledger.rows(population.keys))
            with (
                timed(self._folder, "measure"),
                phase(self._console, f"round {number + 1}", size) as bar,
            ):
                found = measure_round(
                    problem,
                    population,
                    self._evaluator_for(problem),
                    ledger,
                    number,
                    lambda progress: bar.update(
                        progress.evaluations, f"{progress.failed} failed" if progress.failed else ""
                    ),
                )
        if self._setting.config.cluster.train_workers > 1:
            self.close()  # Ray Train's workers need the cores and GPUs
        return found

    def close(self) -> None:
        if self._evaluator is not None:
            self._evaluator.close()
            self._evaluator = None

    def _evaluator_for(self, problem: Problem) -> Evaluator:
        """Evaluator with the weights of the newest checkpoint."""
        checkpoint = checkpoints.latest(self._folder.supernet)
        assert checkpoint is not None
        weights, digest = self._run.weights(checkpoint), checkpoint.digest
        if self._setting.takes is None:
            return LocalEvaluator(problem, weights, weights_digest=digest)
        if self._evaluator is None:
            options = self._setting.config.cluster
            pool = pool_of(options, workers=options.score_workers)
            self._evaluator = RayEvaluator(problem, weights, weights_digest=digest, options=pool)
        else:
            self._evaluator.renew(problem, weights, weights_digest=digest)
        return self._evaluator


def _conclude(folder: RunFolder, problem: Problem, records: Records) -> None:
    """The last round's records become the stage's ledger and front; what collapsed in training is
    written down.
    """
    checkpoint = checkpoints.latest(folder.supernet)
    if checkpoint is not None:
        keep_only(checkpoint.digest, folder.ledger)
    with ledger_of(folder.ledger, problem) as ledger:
        missing = [key not in set(ledger.records.keys.tolist()) for key in records.keys.tolist()]
        ledger.append([record for record, lacks in zip(records, missing, strict=True) if lacks])
        write_front(folder, ledger)
    if checkpoint is not None:
        write_collapses(folder, checkpoint.state["collapses"])


def stage_folder(run: RunFolder, name: str, problem: Problem, extractor: Extractor) -> RunFolder:
    """The stage's own run folder, made where it is not there; scores of two runs compare where
    their extractor's digest is the same.
    """
    path = run.path / name
    if (path / "job.json").is_file():
        return RunFolder.open(path)
    about = {
        "stage": name,
        "extractor": {"label": extractor.label or "inception", "digest": extractor.digest},
    }
    return RunFolder.create(path, {**run.job(), "stages": [], **about, **describe(problem)})
