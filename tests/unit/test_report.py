"""The report's numbers and page, on a run folder made without training."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from evoray.pareto import dominance
from evoray.records.records import Status
from evoray.records.run_folder import RunFolder, write_json
from evoray.report import figures
from evoray.report.genealogy import ancestors, genealogy_figure
from evoray.report.markup import SECTIONS
from evoray.report.page import write_report
from evoray.report.reading import (
    RunView,
    feasible_losses,
    final_hypervolumes,
    hypervolume_curve,
    read_run,
    reference_of,
)
from evoray.report.sections import Drawing, Section, SystemReport
from evoray.report.training_figures import conflict_figure
from jobs.commands.report import main as report_command
from tests.runs import hostile, make_run


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return make_run(tmp_path / "run")


def page(*folders: RunFolder) -> str:
    output = folders[0].report
    write_report(folders, output)
    return output.read_text(encoding="utf-8")


def body(text: str) -> str:
    """Text that a reader sees, without plotly and the figures' data."""
    return text[text.index("<main>") : text.index("</main>")]


def test_the_hypervolume_never_falls_and_ends_at_the_fronts(folder: RunFolder) -> None:
    run = read_run(folder)
    assert run.table is not None
    reference = reference_of([run.table], run.values)
    assert reference is not None
    evaluations, volumes = hypervolume_curve(run.table, run.values, reference)
    assert evaluations.tolist() == list(range(61))
    assert (np.diff(volumes) >= 0).all()
    assert volumes[0] == 0
    assert volumes[-1] == pytest.approx(
        dominance.hypervolume(feasible_losses(run.table, run.values)[0], reference)
    )


def test_the_ratio_over_random_search_uses_one_reference_for_both(folder: RunFolder) -> None:
    volumes = final_hypervolumes(read_run(folder))
    assert volumes is not None
    assert f"{volumes[0] / volumes[1]:.3f} times" in page(folder)


def test_the_genealogy_has_exactly_the_recorded_parents(folder: RunFolder) -> None:
    run = read_run(folder)
    records = {r.key: r for r in run.records}
    front = run.front()
    assert front is not None
    members = front["key"].to_pylist()
    keys, edges = ancestors(records, members)
    assert set(members) <= set(keys)
    assert set(edges) == {(parent, key) for key in keys for parent in records[key].parents}
    assert all(records[a].generation < records[b].generation for a, b in edges)
    assert genealogy_figure(run) is not None


def test_all_sections_are_there(folder: RunFolder) -> None:
    titles = re.findall(r"<h2>(.*?)</h2>", page(folder))
    assert titles == [
        "Front",
        "Hypervolume over evaluations",
        "Genes and values",
        "Genealogy of the front",
        "Training",
        "Trust in the supernet",
        "Candidates",
        "Time",
        "Configuration",
    ]


def test_candidates_are_counted_by_reason(folder: RunFolder) -> None:
    text = body(page(folder))
    states = sorted(folder.shards.glob("generation-*.json"))
    rejected = json.loads(states[-1].read_text(encoding="utf-8"))["statistics"]["rejected"][
        "macs <= 1500"
    ]
    assert f"<td>rejected before dispatch: macs &lt;= 1500</td><td>{rejected}</td>" in text
    assert "ZeroDivisionError: made to fail" in text


@pytest.mark.parametrize(
    "missing", ["baseline", "supernet", "trust.json", "phases.json", "shards", "ledger"]
)
def test_what_a_run_does_not_have_is_left_out(folder: RunFolder, missing: str) -> None:
    part = folder.path / missing
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    assert "<h2>Front</h2>" in page(folder)


@pytest.mark.parametrize("targets", [("score",), ("score", "macs")])
def test_one_and_two_targets_are_drawn(tmp_path: Path, targets: tuple[str, ...]) -> None:
    assert "figure-0" in page(make_run(tmp_path / "run", targets=targets))


def test_the_fronts_line_never_passes_a_point_that_no_network_attains(folder: RunFolder) -> None:
    run = read_run(folder)
    trace = next(t for t in figures.front_figure([run]).data if t.name == "Pareto front")
    scores, macs = np.array(trace.y), np.array(trace.x)
    assert len(scores) > 2
    assert (np.diff(scores) < 0).all()
    assert (np.diff(macs) < 0).all()
    # From the better and dearer network straight down, then left: below its cost only the next
    # one's score is attained.
    assert trace.line.shape == "vh"


def test_a_single_target_is_drawn_over_the_evaluations(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", targets=("score",)))
    records = run.records
    figure = figures.front_figure([run])
    assert figure.layout.xaxis.title.text == "evaluation"
    best = next(t for t in figure.data if t.name == "knee")
    assert records[int(best.x[0]) - 1].values["score"] == best.y[0]
    every = next(t for t in figure.data if t.name == "evaluated")
    assert all(
        records[int(x) - 1].values["score"] == y for x, y in zip(every.x, every.y, strict=True)
    )


def test_the_reference_point_is_stated_in_the_values_own_units(folder: RunFolder) -> None:
    run = read_run(folder)
    assert run.table is not None
    assert run.baseline is not None
    reference = reference_of([run.table, run.baseline], run.values)
    assert reference is not None
    assert f"score (%) {-reference[0]:.4g}, macs {reference[1]:,.0f}: the worst" in page(folder)


def test_lines_through_one_option_lie_side_by_side_but_stay_at_their_option(
    folder: RunFolder,
) -> None:
    run = read_run(folder)
    figure = figures.parallel_figure(run)
    assert figure is not None
    ok = [r for r in run.records if r.status is Status.OK]
    drawn = np.array(figure.data[0].dimensions[0]["values"])
    assert np.round(drawn).tolist() == [r.choices[0] for r in ok]
    assert len(np.unique(drawn)) == len(drawn)


def test_three_targets_can_be_chosen_as_axes(folder: RunFolder) -> None:
    run = read_run(folder)
    for value in run.job["values"]:
        value["target"] = True
    seconds = {
        "name": "score_seconds",
        "unit": "s",
        "goal": "minimize",
        "kind": "measured",
        "target": True,
    }
    run.job["values"].append(seconds)
    figure = figures.front_figure([run])
    assert len(figure.layout.updatemenus[0].buttons) == 3


def test_several_runs_share_one_report_and_other_targets_are_refused(
    folder: RunFolder, tmp_path: Path
) -> None:
    text = page(folder, make_run(tmp_path / "second", seed=2))
    assert "Candidates of second" in text
    with pytest.raises(ValueError, match="same targets: third differ"):
        write_report(
            [folder, make_run(tmp_path / "third", targets=("score",))], tmp_path / "x.html"
        )
    assert not (tmp_path / "x.html").exists()


def test_a_system_brings_sections_of_its_own_and_the_others_go_on_as_before(
    folder: RunFolder, tmp_path: Path
) -> None:
    def own(place: RunFolder, run: RunView) -> Iterator[Section]:
        figure = conflict_figure({"": [{"epoch": 1.0, "conflict": {"within": 0.5}}]})
        yield Section("Texts found", [Drawing(figure, 99), SECTIONS.note(f"<b>{place.path.name}")])

    second = make_run(tmp_path / "second", seed=2)
    mine = SystemReport(sections=(own,), pick_text=("read texts with", "evoray read RUN"))
    output = tmp_path / "page.html"
    write_report(
        [folder, second], output, lambda one: mine if one.path == folder.path else SystemReport()
    )
    text = output.read_text(encoding="utf-8")
    titles = re.findall(r"<h2>(.*?)</h2>", text)
    assert titles.count("Texts found of run") == 1
    assert "Texts found of second" not in titles
    place = titles.index("Texts found of run")
    assert titles[place - 1 : place + 2 : 2] == [
        "Genes and values of run",
        "Genealogy of the front of run",
    ]
    assert "min-width:99px" in text
    assert "&lt;b&gt;run" in text
    assert text.count("evoray read RUN --pick KEY") == 1
    assert text.count("evoray export RUN --pick KEY") == 1


def test_the_command_asks_the_job_of_each_run_for_its_sections(
    folder: RunFolder, tmp_path: Path
) -> None:
    other = make_run(tmp_path / "gan", seed=2)
    for run in (folder, other):
        write_json(run.path / "collapses.json", {"collapses": [{"step": 3}]})
    write_json(other.path / "job.json", {**other.job(), "job": "eagan"})
    output = tmp_path / "page.html"
    report_command([str(folder.path), str(other.path), "--output", str(output)])
    titles = re.findall(r"<h2>(.*?)</h2>", output.read_text(encoding="utf-8"))
    assert "Collapses of gan" in titles
    assert "Collapses of run" not in titles, "a search from Python has no system"


def test_no_text_of_a_run_breaks_out_of_the_page(folder: RunFolder) -> None:
    text = hostile(folder)
    written = page(folder)
    assert text not in written
    data = re.findall(
        r'<script id="figures" type="application/json">(.*?)</script>', written, flags=re.DOTALL
    )
    assert len(data) == 1
    assert json.loads(data[0])


def test_the_page_asks_no_network(folder: RunFolder) -> None:
    written = page(folder)
    outside = written[: written.index("<script>")] + written[written.index("</head>") :]
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", outside)


def test_a_run_that_is_damaged_beside_others_is_named_and_left_out(
    folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = make_run(tmp_path / "bad", seed=2)
    (bad.path / "job.json").write_text("{", encoding="utf-8")
    report_command([str(folder.path), str(bad.path), "--output", str(tmp_path / "page.html")])
    assert (tmp_path / "page.html").is_file()
    said = capsys.readouterr().err
    assert f"run {bad.path} is left out of the report" in said
    assert "job.json is damaged" in said
    with pytest.raises(SystemExit):
        report_command([str(bad.path), "--output", str(tmp_path / "none.html")])
    assert not (tmp_path / "none.html").exists()
