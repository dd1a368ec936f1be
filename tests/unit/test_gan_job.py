"""The eagan job: its presets are the paper's, what does not fit is said in one line, pictures and
the parts of a run that read others.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

from evoray.records.ledger import FolderLedger
from evoray.records.records import Record
from evoray.records.rounds import round_ledger
from evoray.records.run_folder import RunFolder, write_json
from evoray.records.table import schema
from evoray.report.page import write_report
from evoray.report.pictures import picture_place, write_list
from evoray.training.gan.images import RealImages, image_splits
from evoray.training.gan.pairings import ManyToOne, Pair
from jobs import eagan
from jobs.cli import main
from jobs.pipelines.gan import pictures
from jobs.pipelines.gan.build import autogan_codes, build_setup, found_codes
from jobs.pipelines.gan.pipeline import PIPELINE
from jobs.pipelines.gan.report import REPORT
from jobs.pipelines.gan.results import full_name
from jobs.pipelines.gan.run_files import write_collapses
from jobs.pipelines.gan.stages import Setting, is_measured
from searchspaces.base import architectures
from searchspaces.eagan import build
from tests.runs import make_run


def complaint(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that the command prints before it exits with 2."""
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def stl10_files(folder: Path, count: int = 60) -> Path:
    """Hand-made files in STL-10's layout; every image is brighter to the right."""
    place = folder / "stl10_binary"
    place.mkdir(parents=True)
    ramp = np.broadcast_to(
        np.arange(96, dtype=np.uint8)[:, None], (count, 3, 96, 96)
    )  # stored column by column
    for part in ("train", "test", "unlabeled"):
        ramp.tofile(place / f"{part}_X.bin")
        if part != "unlabeled":
            (np.arange(count) % 10 + 1).astype(np.uint8).tofile(place / f"{part}_y.bin")
    return folder


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--data.image-size", "32"],
            "'digits' has images of shape (1, 32, 32), space 'eagan:generator-digits' of "
            "generators.space is for (1, 16, 16): "
            "set --data.image-size 16",
        ),
        (["--measure.num-images", "50"], "50 generated images are too few for FID on 64 features"),
        (
            ["--data.limit", "10", "--generators.train.gan.discriminator-batch", "500"],
            "too few for one batch of 500",
        ),
        (["--inception", "nowhere.pth"], "nowhere.pth"),
        (
            ["--inception", __file__],
            "expected 6726825d...: it is not the Inception network of the published scores",
        ),
        (["--generators.opponent", "plain"], "'plain' needs images of 32 pixels and more, got 16"),
        (
            ["--generators.opponent", "nowhere"],
            "nowhere is neither autogan nor plain, nor the folder of a finished eagan",
        ),
        (
            ["--generators.space", "eagan:discriminator"],
            "'eagan:discriminator' is no space of generators; there is eagan:generator",
        ),
        (["--generators.population", "1"], "generators.population must be at least 2, got 1"),
        (
            ["--discriminators.mutation-probability", "0.9"],
            "must not be negative and add up to more than 0 and at most 1, got 0.3 and 0.9",
        ),
        (["--discriminators.train.rounds", "0"], "train.rounds must be at least 1, got 0"),
        (["--preset", "cifar10", "--data.root", "/no/such"], "data folder /no/such does not exist"),
        (
            ["--preset", "stl10", "--data.root", "/no/such"],
            "data folder /no/such does not exist: give --data.root an existing folder with stl10",
        ),
    ],
    ids=str,
)
def test_what_does_not_fit_is_one_line(
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("EVORAY_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert message in complaint(["run", "eagan", *words], capsys)
    assert not list(tmp_path.iterdir()), "something was written"


def test_presets_are_the_papers_settings() -> None:
    paper, stl, code = eagan.cifar10(), eagan.stl10(), eagan.released()
    first, second = paper.generators, paper.discriminators
    assert (
        first.population,
        first.train.warmup_epochs,
        first.train.rounds,
        first.train.epochs,
    ) == (32, 50.0, 18, 10.0)
    assert (
        second.population,
        second.train.gan.critic_steps,
        second.weight_resetting,
        second.pairing,
    ) == (32, 5, True, "serial")
    assert (
        first.crossover_probability,
        first.mutation_probability,
        first.selector,
        first.opponent,
    ) == (0.3, 0.5, "nsga2", "autogan")
    assert (
        paper.measure.num_images,
        paper.final.num_images,
        paper.final.epochs,
        paper.final.gan.average_decay,
    ) == (
        5000,
        50_000,
        600.0,
        0.999,
    )
    assert (stl.final.gan.generator_rate, stl.final.gan.clip_norm, stl.generators.space) == (
        3e-4,
        50.0,
        "eagan:generator-stl10",
    )
    assert (
        code.generators.opponent,
        code.generators.selector,
        code.generators.train.gan.discriminator_rate,
    ) == ("plain", "cars", 4e-5)
    assert (
        code.generators.train.rounds,
        code.discriminators.train.rounds,
        code.generators.crossover_probability,
    ) == (16, 15, 0.5)


def test_stl10_composes_with_its_unlabelled_images(tmp_path: Path) -> None:
    config = eagan.stl10()
    config = dataclasses.replace(
        config, data=dataclasses.replace(config.data, root=stl10_files(tmp_path))
    )
    setup = build_setup(config)
    assert (setup.source.image_shape, setup.label) == ((3, 48, 48), "stl10-cnn")
    assert image_splits(setup.source) == ("train", "val", "unlabelled")
    assert RealImages(setup.source, 40, seed=0).size == 120
    split = setup.source.open("unlabelled")
    assert set(split.labels.tolist()) == {-1}
    image = split.images([0])[0]
    assert float((image[:, :, 1:] - image[:, :, :-1]).min()) > 0, "rows and columns are exchanged"
    with pytest.raises(
        ValueError, match="no split 'unlabeled'; there is train, val, test, unlabelled"
    ):
        setup.source.open("unlabeled")


def test_the_fixed_discriminator_may_come_from_a_run(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "earlier", {"job": "eagan"})
    with pytest.raises(
        ValueError, match="has found no discriminator yet: finish it with `evoray resume"
    ):
        found_codes(folder.path)
    write_json(folder.path / "pair.json", {"discriminator": {"codes": autogan_codes()}})
    default = eagan.digits()
    seeded = dataclasses.replace(
        default, generators=dataclasses.replace(default.generators, opponent=folder.path)
    )
    one, other = build_setup(default).opponent, build_setup(seeded).opponent
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["cifar10", "stl10"])
def test_a_step_with_the_papers_sizes_and_its_published_pair(preset: str) -> None:
    torch.set_num_threads(1)
    suffix = "-stl10" if preset == "stl10" else ""
    spaces: list[Any] = [build(f"generator{suffix}"), build(f"discriminator{suffix}")]
    g, d = (
        spaces[0].published["EAGAN G"],
        spaces[1].published[f"EAGAN D, {'STL-10' if suffix else 'CIFAR-10'}"],
    )
    recipe = dataclasses.replace(
        getattr(eagan, preset)().final.gan, generator_batch=2, critic_steps=1
    )
    pair = Pair(
        spaces[0].build_subnet(None, g),
        spaces[1].build_subnet(None, d),
        recipe,
        latent=120,
        seed=0,
        device=torch.device("cpu"),
    )
    side = spaces[0].image_size
    assert pair.train(0, [torch.rand(2, 3, side, side) * 2 - 1]).are_finite
    if not suffix:
        first = dataclasses.replace(eagan.cifar10().generators.train.gan, generator_batch=2)
        game = ManyToOne(
            spaces[0].build_supernet(),
            pair.discriminator,
            first,
            latent=120,
            seed=0,
            device=torch.device("cpu"),
        )
        assert game.train(0, g, [torch.rand(2, 3, side, side) * 2 - 1]).are_finite


def test_a_grid_shows_every_image_in_its_place() -> None:
    pixels = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).expand(6, 1, 16, 16) * 40
    shown = np.asarray(pictures.grid(pixels, 3))
    assert shown.shape == ((2 * 17 + 1) * 2, (3 * 17 + 1) * 2)
    assert shown[2, 2] == 0
    assert shown[2 * 18 + 2, 2 * 35 + 2] == 200
    assert np.asarray(pictures.grid(torch.zeros(2, 3, 48, 48, dtype=torch.uint8), 2)).shape == (
        50,
        99,
        3,
    )
    assert [pictures.columns_of(n) for n in (1, 2, 9, 10)] == [1, 2, 3, 4]


def test_a_walk_starts_and_ends_at_its_vectors_and_stays_on_the_sphere() -> None:
    start, end = torch.randn(2, 120, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(pictures.spherical(start, end, 0.0), start, atol=1e-5)
    assert torch.allclose(pictures.spherical(start, end, 1.0), end, atol=1e-5)
    assert float(pictures.spherical(start, end, 0.5).norm()) > 0.95 * min(
        float(start.norm()), float(end.norm())
    )
    # A processor's sums decide whether two equal vectors have a cosine of 1 or of a little less,
    # and so which formula is used.
    torch.testing.assert_close(pictures.spherical(start, start, 0.3), start, rtol=1e-5, atol=1e-6)


def test_a_round_that_an_earlier_version_measured_by_two_objectives_is_measured(
    tmp_path: Path,
) -> None:
    class Extractor:
        label, digest, num_features, num_classes = "digits-cnn", "none", 8, 10

        def open(self, device: torch.device) -> None:
            raise AssertionError("nothing is measured again")

        extract = open

    config = eagan.PRESETS["digits"]()
    setup = build_setup(config)
    setting = Setting(config, setup, cast(Any, Extractor()), tmp_path, None)
    space: Any = setup.generators
    problem, folder = setting.problem(space), RunFolder(tmp_path / "generators")
    values = ("is@digits-cnn", "fid@digits-cnn", "params", "macs")
    assert problem.value_names == values
    before = schema(values, values[:2])
    rows = architectures(space, space.sample(3, np.random.default_rng(0)))
    records = [
        Record(
            key=row.key,
            choices=row.choices,
            values=dict.fromkeys(values, 2.0),
            seconds=dict.fromkeys(values[:2], 1.0),
        )
        for row in rows
    ]
    with FolderLedger(round_ledger(folder, 0), before) as ledger:
        ledger.append(records[:2])
    assert is_measured(folder, 0, 2, problem)
    assert not is_measured(folder, 0, 3, problem)
    with FolderLedger(round_ledger(folder, 0), problem.columns()) as ledger:
        ledger.append([dataclasses.replace(records[2], seconds={"scores@digits-cnn": 1.0})])
    assert is_measured(folder, 0, 3, problem)


def test_scores_may_be_named_without_their_extractor() -> None:
    values = [{"name": "fid@digits-cnn"}, {"name": "params"}]
    assert full_name("best:fid", values) == "best:fid@digits-cnn"
    assert [full_name(pick, values) for pick in ("best:params", "knee", "abc", "best:is")] == [
        "best:params",
        "knee",
        "abc",
        "best:is",
    ]


def test_sample_and_resume_name_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "nowhere is no run folder" in complaint(["sample", "nowhere"], capsys)
    setup = build_setup(eagan.digits())
    folder = RunFolder.create(
        tmp_path / "run", PIPELINE.job_of("eagan", "digits", eagan.digits(), setup)
    )
    assert PIPELINE.config_of(folder) == eagan.digits()
    older = folder.job()
    del older["config"]["cluster"]["train_gpus"]
    older["config"]["cluster"]["gpus"] = True  # its name until the options of all jobs became one
    write_json(folder.path / "job.json", older)
    assert PIPELINE.config_of(folder).cluster.train_gpus is True
    assert "has nothing to pick from yet: finish it with `evoray resume" in complaint(
        ["sample", str(folder.path)], capsys
    )
    assert "--count must be between 1 and 10000, got 0" in complaint(
        ["sample", str(folder.path), "--count", "0"], capsys
    )
    write_json(folder.path / "job.json", {**folder.job(), "job": "quickstart"})
    assert "of job 'quickstart', which finds no generators" in complaint(
        ["sample", str(folder.path)], capsys
    )


def test_the_report_shows_pictures_rounds_and_collapses(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", targets=("score", "macs"))
    for number in range(2):
        place = round_ledger(folder, number)
        place.mkdir(parents=True)
        for part in folder.ledger.glob("part-*.parquet"):
            (place / part.name).write_bytes(part.read_bytes())
    pictures.write(Image.new("L", (8, 8), 77), picture_place(folder, "a.png"))
    hostile = "<script>window.broken=1</script>"
    lines = [
        {"file": "a.png", "title": "k1", "kind": "samples", "caption": hostile},
        {"file": "gone.png", "title": "x", "kind": "", "caption": ""},
    ]
    write_list(folder, lines)
    write_collapses(folder, [{"step": 3}])
    write_report([folder], folder.report, lambda _: REPORT)
    page = folder.report.read_text(encoding="utf-8")
    assert page.count("<img alt=") == 1
    assert hostile not in page
    assert "<h2>Rounds</h2>" in page
    assert "collapses noticed in training</td><td>1<" in page


def test_a_run_of_stages_is_shown_stage_by_stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    top = RunFolder.create(
        tmp_path / "run", {"job": "eagan", "stages": ["generators", "discriminators"]}
    )
    assert top.stages() == []
    main(["show", str(top.path)])
    assert "no stage of the run has begun yet" in capsys.readouterr().out
    stage = make_run(top.path / "generators")
    write_json(stage.path / "job.json", {**stage.job(), "stage": "generators"})
    main(["show", str(top.path)])
    assert "evaluations of stage generators of job evoray.search" in capsys.readouterr().out
    main(["report", str(top.path), "--output", str(tmp_path / "r.html")])
    assert "evoray: run/generators" in (tmp_path / "r.html").read_text(encoding="utf-8")
