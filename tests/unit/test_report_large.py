"""A page of many records: small, quick, drawn from a sample that keeps the front and says so."""

from __future__ import annotations

import re

import numpy as np
import pytest

from evoray.records.ledger import FolderLedger
from evoray.records.records import Record, Status
from evoray.records.run_folder import RunFolder, write_json
from evoray.records.table import from_table, schema, to_table
from evoray.report import figures
from evoray.report.genealogy import ancestors
from evoray.report.page import write_report
from evoray.report.reading import (
    FirstRecords,
    feasible_losses,
    final_hypervolumes,
    hypervolume_curve,
    read_run,
    reference_of,
)
from evoray.report.thinning import thinned

NUM = 20_000
COLUMNS = schema(["score", "macs"], ["score"])


def record(index: int) -> Record:
    """Record of a front of about 200 and a cloud behind it, with a failure of its own kind now and
    then.
    """
    key, parents = f"{index:06d}", (f"{index - 1:06d}", f"{index // 2:06d}") if index else ()
    common = {
        "key": key,
        "choices": (index % 5, index % 7),
        "parents": parents,
        "generation": index // 100,
    }
    if index % 10 == 3:
        return Record(**common, status=Status.FAILED, error=f"error {index % 1000} " + "x" * 5000)  # type: ignore[arg-type]
    angle, depth = (index % 997) / 997 * np.pi / 2, 1.0 if index % 100 == 1 else 2.0 + index % 13
    values = {"score": -depth * float(np.cos(angle)), "macs": depth * float(np.sin(angle)) + 1000.0}
    return Record(**common, values=values, seconds={"score": 1.0 + index % 50})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    values = [
        {"name": "score", "unit": "%", "goal": "maximize", "kind": "measured", "target": True},
        {"name": "macs", "unit": "MACs", "goal": "minimize", "kind": "analytic", "target": True},
    ]
    genes = [{"name": f"g{i}", "options": list(range(7))} for i in range(2)]
    limits = [{"name": "score", "at_least": -100.0 - i, "at_most": None} for i in range(40)]
    job = {
        "job": "many",
        "space": "many",
        "seed": 0,
        "values": values,
        "genes": genes,
        "constraints": limits,
    }
    found = RunFolder.create(tmp_path_factory.mktemp("large") / "run", job)
    with FolderLedger(found.ledger, COLUMNS) as ledger:
        ledger.append([record(index) for index in range(NUM)])
    rejected = {f"reason {i}": i for i in range(500)}
    found.shards.mkdir()
    counts = {"proposed": NUM, "rejected": rejected, "known": 0, "duplicates": 0}
    write_json(found.shards / "generation-000001.json", {"statistics": counts})
    return found


def test_the_page_is_small_and_says_what_it_leaves_out(folder: RunFolder) -> None:
    write_report([folder], folder.report)
    text = folder.report.read_text(encoding="utf-8")
    assert len(text) < 8_000_000
    body = text[text.index("<main>") : text.index("</main>")]
    assert len(body) < 200_000
    assert re.search(r"One line a network \([\d,]+ of 18,000 drawn\)", body)
    assert "480 other reasons" in body
    assert "1,800 with other errors" in body
    assert "of 5,0" in body  # characters of an error


def test_the_sample_keeps_the_front(folder: RunFolder) -> None:
    run = read_run(folder)
    traces = {trace.name: trace for trace in figures.front_figure([run]).data}
    front = run.front()
    assert front is not None
    assert len(front) > 100
    assert list(traces["Pareto front"].y) == front["score"].to_pylist()
    drawn = next(trace for name, trace in traces.items() if name.startswith("evaluated"))
    assert drawn.name == f"evaluated ({len(drawn.x):,} of 18,000 drawn)"
    assert 200 <= len(drawn.x) < 5000
    parallel = figures.parallel_figure(run)
    scores = np.float32(front["score"].to_numpy())
    assert np.isin(scores, parallel.data[0].dimensions[2]["values"]).all()


def test_a_curve_of_many_evaluations_agrees_with_the_fronts(folder: RunFolder) -> None:
    run = read_run(folder)
    assert run.table is not None
    reference = reference_of([run.table], run.values)
    assert reference is not None
    places, volumes = hypervolume_curve(run.table, run.values, reference)
    assert len(places) <= 501
    assert (places[0], places[-1]) == (0, NUM)
    for index in (1, len(places) // 2, -1):
        part = run.table.slice(0, int(places[index]))
        expected = figures.dominance.hypervolume(feasible_losses(part, run.values)[0], reference)
        assert volumes[index] == pytest.approx(expected)
    assert final_hypervolumes(run) is None  # no baseline


def test_ancestors_are_the_nearest_and_limited(folder: RunFolder) -> None:
    first = FirstRecords(read_run(folder).history)
    keys, edges = ancestors(first, ["019999"])
    assert len(keys) == len(set(keys)) == 400
    assert {"019998", "009999", "019997"} <= set(keys)
    assert all(parent in set(keys) and parent in first[child].parents for parent, child in edges)
    with pytest.raises(KeyError):
        first["no such key"]


def test_the_first_record_of_a_key_counts() -> None:
    rows = [
        Record(key=key, choices=(0,), generation=number)
        for number, key in enumerate(["b", "a", "b", "abc"])
    ]
    first = FirstRecords(from_table(to_table(rows, schema([], []))))
    assert {key: found.generation for key, found in first.items()} == {"a": 1, "abc": 3, "b": 0}


def test_thinning_is_even_and_keeps_what_it_must() -> None:
    rows = np.arange(0, 2000, 2)
    kept = thinned(rows, 10, np.array([4, 5, 1998]))
    assert {0, 4, 1998} <= set(kept.tolist())
    assert 5 not in kept
    assert len(kept) == 11
    assert thinned(rows, 1000) is rows
