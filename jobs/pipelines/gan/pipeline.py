"""The phases of a GAN search: extractor, generators, discriminators, final training, pictures,
report. Each goes on where it was left.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import ray
import torch
from pydantic import TypeAdapter

import searchspaces
from evoray.distributed.cluster import cluster
from evoray.distributed.gan import calendar_of, train_stage_on_ray
from evoray.records import environment
from evoray.records.ledger import read_ledger
from evoray.records.run_files import read_metrics
from evoray.records.run_folder import RunFolder, write_json
from evoray.report.page import write_report
from evoray.report.tables import front_table
from evoray.results import picking
from evoray.results.export import ExportedNetwork
from evoray.results.rank_correlation import Probing
from evoray.seeds import seed_for
from evoray.training import checkpoints
from evoray.training.gan.config import StageConfig
from evoray.training.gan.rounds import Round
from evoray.training.gan.stage import FinalStage
from jobs.pipelines.gan import pictures
from jobs.pipelines.gan.build import PAIR, SearchSetup, build_setup
from jobs.pipelines.gan.config import GanSearch
from jobs.pipelines.gan.rank_correlation import fid_probing
from jobs.pipelines.gan.results import (
    FINAL,
    STAGES,
    FoundGenerator,
    GeneratorFinder,
    architecture_of_row,
    codes_of,
    pair_of,
    row_of,
)
from jobs.pipelines.gan.scoring import score_on_ray, trained_classifier
from jobs.pipelines.gan.stages import (
    DiscriminatorRun,
    GeneratorRun,
    Setting,
    carry_out_stage,
    stage_folder,
)
from jobs.terminal.console import Terminal
from jobs.terminal.limits import check_values
from jobs.terminal.progress import phase, tailing, timed
from objectives.base import Needs
from searchspaces.base import SearchSpace
from searchspaces.own import admitted, recorded, replaced

__all__ = [
    "CONFIG",
    "build_setup",
    "carry_out",
    "config_of",
    "exported_networks",
    "job_of",
    "probing",
]

CONFIG = GanSearch
_CONFIG: TypeAdapter[GanSearch] = TypeAdapter(GanSearch)
_SHOWN = 6  # generators of a front that are shown in pictures
_SAMPLES, _COLUMNS, _WALKS = 64, 16, 4


def job_of(name: str, preset: str, config: GanSearch, setup: SearchSetup) -> dict[str, Any]:
    """What job.json holds."""
    return {
        "job": name,
        "preset": preset,
        "seed": config.seed,
        "space": f"{setup.generators.name} and {setup.discriminators.name}",
        "stages": list(STAGES),
        "own": recorded(_own_paths(config)),
        "config": _CONFIG.dump_python(config, mode="json"),
        **environment.surroundings(),
    }


def config_of(folder: RunFolder, given: Sequence[str] = ()) -> GanSearch:
    """The configuration that a run was started with; `given` are import paths that the user names
    again.

    Raises:
        ValueError: job.json does not hold one, or names an object of the user's own that is not
            followed.
    """
    job = folder.job()
    if "config" not in job or "stages" not in job:
        raise ValueError(
            f"{folder.path / 'job.json'} holds no configuration of a GAN search: restore it, or "
            "start a new run"
        )
    texts = _own_paths(_CONFIG.validate_python(job["config"]))
    found = _CONFIG.validate_python(
        replaced(job["config"], admitted(texts, job.get("own"), given, folder.path))
    )
    check_values(found)  # somebody may have edited the file
    return found


def _own_paths(config: GanSearch) -> list[str]:
    return searchspaces.own_paths([config.generators.space, config.discriminators.space])


def carry_out(folder: RunFolder, config: GanSearch, console: Terminal) -> None:
    """Runs what is still to be done of a run: of a new one everything, of a finished one nothing
    but pictures and report.

    Raises:
        RuntimeError: Training or measuring cannot go on; what is done stays.
    """
    setup = build_setup(config)
    with cluster(config.cluster.address) as told:
        if told:
            console.print(told)
        takes = _share(config, ray.cluster_resources())
        extractor = setup.extractor or trained_classifier(
            folder, config, setup.source, takes, console
        )
        setting = Setting(config, setup, extractor, folder.path / "reference", takes)
        finder = GeneratorFinder(folder, config, setup)
        search(folder, setting, finder, console)
        if config.final.epochs:
            _final(folder, setting, console)
    _draw(folder, finder, setup)
    finish(folder, console)


def exported_networks(
    folder: RunFolder, config: GanSearch, pick: str
) -> tuple[ExportedNetwork, ...]:
    """The generator that `pick` names, as `GeneratorFinder.pick` does.

    Raises:
        ValueError: It names none.
    """
    setup = build_setup(config)
    found = GeneratorFinder(folder, config, setup).pick(pick)
    about = {
        "stage": found.stage,
        "record": found.key,
        "values": dict(found.values),
        "source": setup.source.name,
    }
    space = cast(SearchSpace, setup.generators)
    return (
        ExportedNetwork(
            found.network,
            found.generator,
            space,
            (setup.generators.latent,),
            about,
            ("latents", "images"),
        ),
    )


def probing(folder: RunFolder, config: GanSearch, probes: int) -> Probing:
    """Probes of stage 1, for `evoray trust`.

    Raises:
        ValueError: The stage has not so many records.
    """
    return fid_probing(folder, config, build_setup(config), probes)


def _share(config: GanSearch, resources: Mapping[str, float]) -> Needs:
    """What each process of training or scoring may take, so that all of them find a place at
    once.
    """
    options, second = config.cluster, config.discriminators
    trainers = second.pair_workers if second.pairing == "averaged" else 1
    processes = 2 * options.score_workers + trainers

    def each(total: float) -> float:
        return 1.0 if total >= processes else math.floor(100 * total / processes) / 100

    gpus = resources.get("GPU", 0.0)
    return Needs(
        cpus=each(resources.get("CPU", 1.0)),
        gpus=each(gpus) if (gpus > 0 if options.gpus is None else options.gpus) else 0.0,
    )


def finish(folder: RunFolder, console: Terminal) -> None:
    """Writes the report; prints the fronts and the pair."""
    for stage in folder.stages():
        table = read_ledger(stage.ledger)
        if table is not None:
            console.print(front_table(stage.job(), picking.front(table, stage.job()["values"])))
    write_report(folder.stages(), folder.report)
    pair = pair_of(folder)
    for name in ("generator", "discriminator"):
        console.print(f"{name}: {pair[name]['codes']}  {_spoken(pair[name]['values'])}")
    if FINAL in pair:
        console.print(f"trained alone: {_spoken(pair[FINAL])}")
    seconds = [
        f"{stage.path.name} {sum(stage.phases().values()):.0f} s" for stage in folder.stages()
    ]
    seconds += [f"{name} {spent:.0f} s" for name, spent in folder.phases().items()]
    console.print("  ".join(seconds))
    console.print(f"report: {folder.report}")


def search(folder: RunFolder, setting: Setting, finder: GeneratorFinder, console: Terminal) -> None:
    """Both stages; pair.json says what they found."""
    _first_stage(folder, setting, console)
    _second_stage(folder, setting, finder, console)


def _first_stage(folder: RunFolder, setting: Setting, console: Terminal) -> None:
    run = GeneratorRun(setting)
    stage = stage_folder(folder, run.name, setting.problem(run.stage.space), setting.extractor)
    carry_out_stage(stage, run, setting, console)
    row = row_of(stage, run.options.pick)
    _write_pair(folder, {"generator": _described(setting, "generators", row, stage)})


def _second_stage(
    folder: RunFolder, setting: Setting, finder: GeneratorFinder, console: Terminal
) -> None:
    chosen = pair_of(folder)["generator"]
    generators = cast(SearchSpace, setting.setup.generators)
    run = DiscriminatorRun(
        setting, architecture_of_row(generators, chosen["choices"]), finder.generator(chosen)
    )
    stage = stage_folder(folder, run.name, setting.problem(run.stage.space), setting.extractor)
    last = carry_out_stage(stage, run, setting, console)
    write_json(stage.path / "pairs.json", {"keys": [key.decode() for key in last.keys.tolist()]})
    row = row_of(stage, run.options.pick)
    _write_pair(folder, {"discriminator": _described(setting, "discriminators", row, stage)})


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


def _write_pair(folder: RunFolder, found: Mapping[str, Any]) -> None:
    write_json(folder.path / PAIR, {**pair_of(folder), **found})


def _final(folder: RunFolder, setting: Setting, console: Terminal) -> None:
    """Trains the found pair from fresh weights, and scores it."""
    stage, members = final_stage(setting, pair_of(folder))
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
    if pair_of(folder).get(FINAL, {}).get("weights_digest") == digest:
        return
    _write_pair(folder, {FINAL: {}})
    finder = GeneratorFinder(folder, setting.config, setting.setup)
    with timed(folder, "final"):
        scores = score_on_ray(
            finder.final(),
            setting.scorer(setting.config.final.num_images),
            setting.config.cluster.score_workers,
        )
    _write_pair(
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
        if name == STAGES[-1] and FINAL in pair_of(folder):
            found.insert(0, finder.final())
        listed = []
        for one in found:
            listed += _draw_one(finder.stage(name), one, setup)
        write_json(finder.stage(name).pictures / "pictures.json", {"pictures": listed})


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
    listed = []
    for kind, pixels, caption in kinds:
        file = f"{found.stage}-{found.key}-{kind}.png"
        pictures.write(pictures.grid(pixels, _COLUMNS), stage.inside("pictures", file))
        digest = hashlib.sha256((stage.pictures / file).read_bytes()).hexdigest()
        listed.append(
            {
                "file": file,
                "digest": digest,
                "title": found.key,
                "kind": f"{kind}{when}",
                "caption": caption,
            }
        )
    return listed


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
