"""A run folder as the report sees it: everything read once, nothing else known of where it came
from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from evoray.pareto import dominance
from evoray.records.ledger import read_ledger
from evoray.records.records import Record, Records, Status
from evoray.records.rounds import round_ledgers
from evoray.records.run_folder import RunFolder
from evoray.records.table import from_table
from evoray.report.thinning import thinned
from evoray.results import picking

_MOST_PLACES = 501  # where a curve of hypervolumes is drawn
_FEW = 8  # points that are worth a look whether they change the front at all


@dataclass(frozen=True)
class RunView:
    """One run.

    Attributes:
        name: Name of its folder; "RUN/STAGE" for a stage.
        job: job.json.
        table: The ledger in the order of completion; None before the first evaluation.
        baseline: Random search's ledger, or None.
        metrics: Lines of the training's metrics_log.
        statistics: Counters of proposals at the last barrier; empty before it.
        phases: Seconds of each phase.
        trust: trust.json, or None.
        rounds: Ledger of each round, from the first, for a supernet that trained on between them;
            else empty.
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

    @property
    def values(self) -> Sequence[Mapping[str, Any]]:
        """Objectives and costs with unit, goal, kind and whether they are targets."""
        described: Sequence[Mapping[str, Any]] = self.job["values"]
        return described

    @property
    def targets(self) -> list[str]:
        return picking.targets(self.values)

    @cached_property
    def records(self) -> Records:
        """Columns of the table."""
        return Records.of([]) if self.table is None else from_table(self.table)

    @cached_property
    def history(self) -> Records:
        """Every measurement, round by round where there were rounds."""
        return (
            Records.concat([from_table(table) for table in self.rounds])
            if self.rounds
            else self.records
        )

    @cached_property
    def origins(self) -> FirstRecords:
        """The first record of each network by its key: the one that says how it was made."""
        return FirstRecords(self.history)

    @cached_property
    def complete_rows(self) -> NDArray[np.int64]:
        """Rows of the records of which every objective was measured."""
        return np.flatnonzero(self.records.status == Status.OK.code)

    @cached_property
    def front_rows(self) -> NDArray[np.int64]:
        """Rows of the Pareto front's records, best first in the first target."""
        return (
            np.zeros(0, dtype=np.int64)
            if self.table is None
            else picking.front_rows(self.table, self.values)
        )

    def front(self) -> pa.Table | None:
        """The Pareto front, or None when nothing is feasible."""
        return (
            self.table.take(self.front_rows)
            if self.table is not None and len(self.front_rows)
            else None
        )

    def label(self, name: str) -> str:
        """An axis title: the value's name and unit."""
        unit = self.unit(name)
        return f"{name} ({unit})" if unit else name

    def unit(self, name: str) -> str:
        """Unit of an objective or cost; "" where the name says it already ("macs" in MACs, "params"
        in parameters), and for anything else.
        """
        unit = next((str(v["unit"]) for v in self.values if v["name"] == name), "")
        return "" if unit.lower().startswith(name.lower().removesuffix("s")) else unit

    def options(self, record: Record) -> dict[str, Any]:
        """Chosen option of every gene, by name."""
        genes = self.job.get("genes", [])
        return {
            gene["name"]: gene["options"][c] for gene, c in zip(genes, record.choices, strict=False)
        }


class FirstRecords(Mapping[str, Record]):
    """The first record of each key among many."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._keys, self._rows = np.unique(records.keys, return_index=True)

    def __getitem__(self, key: str) -> Record:
        place = int(np.searchsorted(self._keys, np.bytes_(key.encode())))
        if place == len(self._keys) or self._keys[place] != key.encode():
            raise KeyError(key)
        return self._records[int(self._rows[place])]

    def __iter__(self) -> Iterator[str]:
        return (key.decode() for key in self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def read_run(folder: RunFolder, baseline: Sequence[str] = ("baseline",)) -> RunView:
    """Reads what is there; what is missing or not readable is empty. `baseline` names the folders
    that lead to random search's ledger.
    """
    job, table = folder.job(), read_ledger(folder.ledger)
    if table is not None:
        picking.check_of_one_run(table, job)
    return RunView(
        name=f"{folder.path.parent.name}/{folder.path.name}"
        if "stage" in job
        else folder.path.name,
        job=job,
        table=table,
        baseline=read_ledger(folder.inside(*baseline)),
        metrics=folder.metrics(),
        statistics=folder.statistics(),
        phases=folder.phases(),
        trust=folder.trust(),
        rounds=[
            table for place in round_ledgers(folder) if (table := read_ledger(place)) is not None
        ],
    )


def feasible_losses(
    table: pa.Table, values: Sequence[Mapping[str, Any]]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(k, m) losses of complete feasible records and (k,) how many evaluations had ended with each,
    from 1.
    """
    ended = np.arange(1, len(table) + 1)
    good = pc.equal(table["status"], "ok").to_numpy() & (table["violation"].to_numpy() <= 0)
    indices = np.flatnonzero(good)
    found = table.select(picking.targets(values)).take(indices)
    return picking.losses(found, values), ended[indices].astype(np.int64)


def reference_of(
    tables: Sequence[pa.Table], values: Sequence[Mapping[str, Any]]
) -> NDArray[np.float64] | None:
    """(m,) the common reference point: the worst feasible value of all tables and a tenth of the
    range beyond; None without any.
    """
    every = [feasible_losses(table, values)[0] for table in tables]
    stacked = np.concatenate(every) if every else np.zeros((0, 1))
    return dominance.reference_point(stacked) if len(stacked) else None


def hypervolume_curve(
    table: pa.Table, values: Sequence[Mapping[str, Any]], reference: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Evaluations from 0 to all and the hypervolume after so many; never falls. At most 500 places,
    evenly chosen.
    """
    losses, ended = feasible_losses(table, values)
    places = thinned(np.arange(len(table) + 1), _MOST_PLACES)
    volumes = np.zeros(len(places))
    best = np.zeros((0, losses.shape[1]))
    starts = np.searchsorted(ended, places, side="right")  # feasible ones that had ended by then
    for index in range(1, len(places)):
        volumes[index] = volumes[index - 1]
        points = losses[starts[index - 1] : starts[index]]
        if len(points) > _FEW or not all((best <= point).all(axis=1).any() for point in points):
            best = np.concatenate([best, points])
            best = best[dominance.front(best)]
            volumes[index] = max(volumes[index], dominance.hypervolume(best, reference))
    return places, volumes


def final_hypervolumes(run: RunView) -> tuple[float, float] | None:
    """Hypervolumes of the run and of random search, up to one reference point; None without a
    baseline.
    """
    if run.table is None or run.baseline is None:
        return None
    reference = reference_of([run.table, run.baseline], run.values)
    if reference is None:
        return None
    mine, other = (
        _hypervolume(feasible_losses(table, run.values)[0], reference)
        for table in (run.table, run.baseline)
    )
    return mine, other


def _hypervolume(losses: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    return dominance.hypervolume(losses[dominance.front(losses)], reference) if len(losses) else 0.0
