"""A run folder as the report sees it: everything read once, nothing else known of where it came from."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evoray import pareto, selection
from evoray.ledger import read_ledger
from evoray.records import Record, from_table
from evoray.run_folder import RunFolder


@dataclass(frozen=True)
class RunView:
    """One run.

    Attributes:
        name: Of its folder; of a stage "RUN/STAGE".
        job: job.json.
        table: The ledger in the order of completion; None before the first evaluation.
        baseline: Random search's ledger, or None.
        metrics: Lines of the training's journal.
        statistics: Counters of proposals at the last barrier; empty before it.
        phases: Seconds of each phase.
        trust: trust.json, or None.
        rounds: Where the supernet trained on between them: the ledger of each, from the first; else empty.
        pictures: Lines of pictures.json with the picture itself, base64, as "png".
        collapses: What was noticed of collapsing generators; None where nobody watched.
        chip: chip.json, the design of a search of networks and chip, or None.
        comparison: What other methods found, the search itself first.
    """

    name: str
    job: Mapping[str, Any]  # Any here and below: JSON
    table: pa.Table | None
    baseline: pa.Table | None
    metrics: Sequence[Mapping[str, Any]]
    statistics: Mapping[str, Any]
    phases: Mapping[str, float]
    trust: Mapping[str, Any] | None
    rounds: Sequence[pa.Table] = ()
    pictures: Sequence[Mapping[str, Any]] = ()
    collapses: Sequence[Mapping[str, Any]] | None = None
    chip: Mapping[str, Any] | None = None
    comparison: Sequence[Mapping[str, Any]] = ()

    @property
    def values(self) -> Sequence[Mapping[str, Any]]:
        """Objectives and costs with unit, goal, kind and whether they are targets."""
        described: Sequence[Mapping[str, Any]] = self.job["values"]
        return described

    @property
    def targets(self) -> list[str]:
        return selection.targets(self.values)

    @property
    def records(self) -> list[Record]:
        return [] if self.table is None else list(from_table(self.table))

    @property
    def history(self) -> list[Record]:
        """Every measurement, round by round where there were rounds."""
        return [record for table in self.rounds for record in from_table(table)] if self.rounds else self.records

    @property
    def origins(self) -> dict[str, Record]:
        """The first record of each network by its key: the one that says how it was made."""
        return {record.key: record for record in reversed(self.history)}

    def front(self) -> pa.Table | None:
        """The Pareto front, or None when nothing is feasible."""
        best = None if self.table is None else selection.front(self.table, self.values)
        return best if best is not None and len(best) else None

    def label(self, name: str) -> str:
        """An axis title: the value's name and unit."""
        unit = self.unit(name)
        return f"{name} ({unit})" if unit else name

    def unit(self, name: str) -> str:
        """Of an objective or cost; "" where the name says it already ("macs" in MACs, "params" in parameters), and for anything else."""
        unit = next((str(v["unit"]) for v in self.values if v["name"] == name), "")
        return "" if unit.lower().startswith(name.lower().removesuffix("s")) else unit

    def options(self, record: Record) -> dict[str, Any]:
        """Chosen option of every gene, by name."""
        genes = self.job.get("genes", [])
        return {gene["name"]: gene["options"][c] for gene, c in zip(genes, record.choices, strict=False)}


def read_run(folder: RunFolder) -> RunView:
    """Reads what is there; what is missing or not readable is empty."""
    states = sorted(folder.shards.glob("generation-*.json"))
    statistics: Mapping[str, Any] = {}
    for state in reversed(states):
        try:
            statistics = json.loads(state.read_text(encoding="utf-8"))["statistics"]
            break
        except (ValueError, KeyError):
            continue
    job = folder.job()
    return RunView(
        name=f"{folder.path.parent.name}/{folder.path.name}" if "stage" in job else folder.path.name,
        job=job,
        table=read_ledger(folder.ledger),
        baseline=read_ledger(folder.baseline if folder.baseline.is_dir() else folder.path / "comparison" / "random" / "ledger"),
        metrics=folder.metrics(),
        statistics=statistics,
        phases=folder.phases(),
        trust=folder.trust(),
        rounds=[table for place in folder.rounds() if (table := read_ledger(place)) is not None],
        pictures=_pictures(folder),
        collapses=folder.collapses(),
        chip=folder.chip(),
        comparison=folder.comparison(),
    )


def _pictures(folder: RunFolder) -> list[dict[str, Any]]:
    found = []
    for line in folder.picture_list():
        file = folder.pictures / Path(line["file"]).name
        if file.is_file():
            found.append({**line, "png": base64.b64encode(file.read_bytes()).decode()})
    return found


def feasible_losses(table: pa.Table, values: Sequence[Mapping[str, Any]]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(k, m) losses of complete feasible records and (k,) how many evaluations had ended with each, from 1."""
    ended = np.arange(1, len(table) + 1)
    good = np.array([s == "ok" for s in table["status"].to_pylist()], dtype=bool) & (table["violation"].to_numpy() <= 0)
    indices = np.flatnonzero(good)
    return selection.losses(table.take(indices), values), ended[indices].astype(np.int64)


def reference_of(tables: Sequence[pa.Table], values: Sequence[Mapping[str, Any]]) -> NDArray[np.float64] | None:
    """(m,) the common reference point: the worst feasible value of all tables and a tenth of the range beyond; None without any."""
    every = [feasible_losses(table, values)[0] for table in tables]
    stacked = np.concatenate(every) if every else np.zeros((0, 1))
    return pareto.reference_point(stacked) if len(stacked) else None


def hypervolume_curve(
    table: pa.Table, values: Sequence[Mapping[str, Any]], reference: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(n + 1,) evaluations 0..n and the hypervolume after each; never falls."""
    losses, ended = feasible_losses(table, values)
    volumes = np.zeros(len(table) + 1)
    best = np.zeros((0, losses.shape[1]))
    for point, when in zip(losses, ended, strict=True):
        if (best <= point).all(axis=1).any():
            continue
        best = np.concatenate([best, point[None]])
        best = best[pareto.front(best)]
        volumes[when] = pareto.hypervolume(best, reference)
    return np.arange(len(table) + 1), np.maximum.accumulate(volumes)


def final_hypervolumes(run: RunView) -> tuple[float, float] | None:
    """Of the run and of random search, up to one reference point; None without a baseline."""
    if run.table is None or run.baseline is None:
        return None
    reference = reference_of([run.table, run.baseline], run.values)
    if reference is None:
        return None
    mine, other = (float(np.max(hypervolume_curve(t, run.values, reference)[1])) for t in (run.table, run.baseline))
    return mine, other
