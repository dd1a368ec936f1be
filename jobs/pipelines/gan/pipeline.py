"""The phases of a GAN search: extractor, generators, discriminators, final training, pictures,
report. Each goes on where it was left.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import ray
import torch

import searchspaces
from evoray.distributed.gan import calendar_of, train_stage_on_ray
from evoray.records.run_files import read_metrics
from evoray.records.run_folder import RunFolder
from evoray.report.pictures import listed, picture_place, write_list
from evoray.results.export import ExportedNetwork
from evoray.results.rank_correlation import Probing
from evoray.seeds import seed_for
from evoray.training import checkpoints
from evoray.training.gan.config import StageConfig
from evoray.training.gan.rounds import Round
from evoray.training.gan.stage import FinalStage
from jobs.pipelines import base
from jobs.pipelines.base import Pipeline
from jobs.pipelines.gan import pictures
from jobs.pipelines.gan.build import SearchSetup, build_setup
from jobs.pipelines.gan.config import GanSearch
from jobs.pipelines.gan.rank_correlation import fid_probing
from jobs.pipelines.gan.report import REPORT
from jobs.pipelines.gan.results import (
    FoundGenerator,
    GeneratorFinder,
    architecture_of_row,
    codes_of,
    row_of,
)
from jobs.pipelines.gan.run_files import FINAL, STAGES, read_pair, write_pair, write_pair_keys
from jobs.pipelines.gan.scoring import score_on_ray, trained_classifier
from jobs.pipelines.gan.stages import (
    DiscriminatorRun,
    GeneratorRun,
    Setting,
    carry_out_stage,
    stage_folder,
)
from jobs.terminal.console import Terminal
from jobs.terminal.progress import phase, tailing, timed
from objectives.base import Needs
from searchspaces.base import SearchSpace

Run = base.Run[GanSearch, SearchSetup]
_SHOWN = 6  # generators of a front that are shown in pictures
_SAMPLES, _COLUMNS, _WALKS = 64, 16, 4


class GanPipeline(Pipeline[GanSearch, SearchSetup]):
    """Generators are searched against one discriminator, then discriminators against the best."""

    config_type = GanSearch
    report = REPORT

    def build_setup(self, config: GanSearch, *, gpus: float = 0.0) -> SearchSetup:
        return build_setup(config)  # a worker that scores takes its share of the cluster

    def described(self, config: GanSearch, setup: SearchSetup) -> dict[str, Any]:
        space = f"{setup.generators.name} and {setup.discriminators.name}"
        return {"space": space, "stages": list(STAGES)}

    def own_paths(self, config: GanSearch) -> list[str]:
        return searchspaces.own_paths([config.generators.space, config.discriminators.space])

    def run_phases(self, run: Run) -> None:
        folder, config, setup, console = run.folder, run.config, run.setup, run.console
        takes = _share(config, ray.cluster_resources(), run.use_gpu)
        extractor = setup.extractor or trained_classifier(
            folder, config, setup.source, takes, console
        )
        setting = Setting(config, setup, extractor, folder.path / "reference", takes)
        finder = GeneratorFinder(folder, config, setup)
        search(folder, setting, finder, console)
        if config.final.epochs:
            _final(folder, setting, console)
        _draw(folder, finder, setup)

    def exported_networks(
        self, folder: RunFolder, config: GanSearch, pick: str
    ) -> tuple[ExportedNetwork, ...]:
        setup = build_setup(config)
        found = GeneratorFinder(folder, config, setup).pick(pick)
        about = {
            "stage": found.stage,
            "record": found.key,
            "values": dict(found.values),
            "source": setup.source.name,
        }
        space, shape = cast(SearchSpace, setup.generators), (setup.generators.latent,)
        names = ("latents", "images")
        return (ExportedNetwork(found.network, found.generator, space, shape, about, names),)

    def probing(self, folder: RunFolder, config: GanSearch, probes: int) -> Probing:
        return fid_probing(folder, config, build_setup(config), probes)

    def summarize(self, folder: RunFolder, console: Terminal) -> None:
        pair = read_pair(folder)
        for name in ("generator", "discriminator"):
            console.print(f"{name}: {pair[name]['codes']}  {_spoken(pair[name]['values'])}")
        if FINAL in pair:
            console.print(f"trained alone: {_spoken(pair[FINAL])}")


PIPELINE = GanPipeline()


def _share(config: GanSearch, resources: Mapping[str, float], use_gpu: bool) -> Needs:
    """Resources that each process of training or scoring may take, so that all of them find a place
    at once.
    """
    options, second = config.cluster, config.discriminators
    trainers = second.pair_workers if second.pairing == "averaged" else 1
    processes = options.score_workers + trainers

    def each(total: float) -> float:
        return 1.0 if total >= processes else math.floor(100 * total / processes) / 100

    return Needs(
        cpus=each(resources.get("CPU", 1.0)),
        gpus=each(resources.get("GPU", 0.0)) if use_gpu else 0.0,
    )


def search(folder: RunFolder, setting: Setting, finder: GeneratorFinder, console: Terminal) -> None:
    """Both stages; pair.json says what they found."""
    _first_stage(folder, setting, console)
    _second_stage(folder, setting, finder, console)


def _first_stage(folder: RunFolder, setting: Setting, console: Terminal) -> None:
    run = GeneratorRun(setting)
    stage = stage_folder(folder, run.name, setting.problem(run.stage.space), setting.extractor)
    carry_out_stage(stage, run, setting, console)
    row = row_of(stage, run.options.pick)
    write_pair(folder, {"generator": _described(setting, "generators", row, stage)})


def _second_stage(
    folder: RunFolder, setting: Setting, finder: GeneratorFinder, console: Terminal
) -> None:
    chosen = read_pair(folder)["generator"]
    generators = cast(SearchSpace, setting.setup.generators)
    run = DiscriminatorRun(
        setting, architecture_of_row(generators, chosen["choices"]), finder.generator(chosen)
    )
    stage = stage_folder(folder, run.name, setting.problem(run.stage.space), setting.extractor)
    last = carry_out_stage(stage, run, setting, console)
    write_pair_keys(stage, [key.decode() for key in last.keys.tolist()])
    row = row_of(stage, run.options.pick)
    write_pair(folder, {"discriminator": _described(setting, "discriminators", row, stage)})


def _described(
    setting: Setting, name: str, row: Mapping[str, Any], stage: RunFolder
) -> dict[str, Any]:
    space = setting.setup.generators if name == "generators" else setting.setup.discriminators
    values = {v["name"]: row[v["name"]] for v in stage.job()["values"]}
    return {
        "key": row["key"],
        "choices": list(row["choices"]),
        "codes": codes_of(space, row),
        "values": values,
    }


def _final(folder: RunFolder, setting: Setting, console: Terminal) -> None:
    """Trains the found pair from fresh weights, and scores it."""
    stage, members = final_stage(setting, read_pair(folder))
    place = folder.path / FINAL
    with (
        timed(folder, "final"),
        phase(console, "final", calendar_of(stage).total) as bar,
        tailing(lambda: read_metrics(place), bar),
    ):
        train_stage_on_ray(
            stage,
            [Round(members)],
            folder=place,
            takes=setting.takes,
            max_failures=setting.config.cluster.max_failures,
        )
    digest = str(checkpoints.load_weights(place)[1])
    if read_pair(folder).get(FINAL, {}).get("weights_digest") == digest:
        return
    write_pair(folder, {FINAL: {}})
    finder = GeneratorFinder(folder, setting.config, setting.setup)
    with timed(folder, "final"):
        scores = score_on_ray(
            finder.final(),
            setting.scorer(setting.config.final.num_images),
            setting.config.cluster.score_workers,
        )
    write_pair(
        folder,
        {FINAL: {**scores, "weights_digest": digest, "images": setting.config.final.num_images}},
    )


def final_stage(setting: Setting, pair: Mapping[str, Any]) -> tuple[FinalStage, tuple[Any, ...]]:
    """The final training of a pair with fresh weights, and its round's members."""
    config, setup = setting.config, setting.setup
    seed = seed_for(config.seed, FINAL)
    networks, members = [], []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, space in (
            ("generator", setup.generators),
            ("discriminator", setup.discriminators),
        ):
            members.append(architecture_of_row(cast(SearchSpace, space), pair[name]["choices"]))
            networks.append(space.build_subnet(None, members[-1]))
    recipe = StageConfig(
        gan=config.final.gan,
        warmup_epochs=0.0,
        rounds=1,
        epochs=config.final.epochs,
        log_every_steps=config.final.log_every_steps,
        checkpoint_every_seconds=config.final.checkpoint_every_seconds,
    )
    generators = cast(SearchSpace, setup.generators)
    stage = FinalStage(generators, setup.source, recipe, setup.generators.latent, seed, *networks)
    return stage, (members[0],)


def _draw(folder: RunFolder, finder: GeneratorFinder, setup: SearchSetup) -> None:
    """Sample grids and walks of the fronts' generators, into the stages' folders; the finally
    trained pair comes first.
    """
    for name in STAGES:
        front = finder.front(name)
        assert front is not None
        fid = next(
            v["name"] for v in finder.stage(name).job()["values"] if v["name"].startswith("fid")
        )
        rows = sorted(front.to_pylist(), key=lambda row: float(row[fid]))
        shown = [
            rows[i]
            for i in sorted(
                {round(i * (len(rows) - 1) / max(1, _SHOWN - 1)) for i in range(_SHOWN)}
            )
        ]
        found = [finder.of_row(name, row) for row in shown]
        if name == STAGES[-1] and FINAL in read_pair(folder):
            found.insert(0, finder.final())
        lines = []
        for one in found:
            lines += _draw_one(finder.stage(name), one, setup)
        write_list(finder.stage(name), lines)


def _draw_one(stage: RunFolder, found: FoundGenerator, setup: SearchSetup) -> list[dict[str, str]]:
    latent, about = setup.generators.latent, _spoken(found.values)
    when = " after the final training" if found.stage == FINAL else ""
    kinds = (
        ("samples", pictures.samples(found.network, latent, _SAMPLES, 0), about),
        (
            "walks",
            pictures.walks(found.network, latent, _WALKS, _COLUMNS, 0),
            "each row from one latent vector to another",
        ),
    )
    lines = []
    for kind, pixels, caption in kinds:
        file = f"{found.stage}-{found.key}-{kind}.png"
        pictures.write(pictures.grid(pixels, _COLUMNS), picture_place(stage, file))
        told = {"title": found.key, "kind": f"{kind}{when}", "caption": caption}
        lines.append(listed(stage, file, told))
    return lines


def _spoken(values: Mapping[str, Any]) -> str:
    """Scores in words."""
    shown = {
        name: value
        for name, value in values.items()
        if isinstance(value, int | float) and name.split("@")[0] in ("is", "fid", "params")
    }
    return "  ".join(
        f"{name} {value:,.0f}" if value >= 1000 else f"{name} {value:.3g}"
        for name, value in shown.items()
    )
