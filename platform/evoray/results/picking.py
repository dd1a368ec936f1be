"""Choosing among a run's records: the front, the knee, the best under an objective; works on what a
run folder holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from evoray.pareto import dominance
from objectives.base import Goal
from searchspaces.base import Architecture, SearchSpace, architectures, nearest

Values = Sequence[Mapping[str, Any]]  # job.json's "values": JSON


def targets(values: Values) -> list[str]:
    """Names of the optimised values, in the order of the loss columns."""
    return [v["name"] for v in values if v["target"]]


def check_of_one_run(table: pa.Table, job: Mapping[str, Any]) -> None:
    """
    Raises:
        ValueError: The records are not of the search that job.json tells of.
    """
    names = [v["name"] for v in job["values"]]
    sizes = [len(gene["options"]) for gene in job["genes"]]
    rows = np.asarray(pc.list_flatten(table["choices"]).to_numpy())
    if lacking := [name for name in names if name not in table.column_names]:
        told = f"they lack {', '.join(lacking)}"
    elif wrong := [
        name
        for name in names
        if names.count(name) > 1 or not pa.types.is_floating(table.schema.field(name).type)
    ]:
        told = f"job.json names a value twice, or a column that is none: {wrong[0]}"
    elif not targets(job["values"]):
        told = "job.json names no target"
    elif len(rows) != len(table) * len(sizes) or not (rows.reshape(len(table), -1) < sizes).all():
        told = "their choices are not of its genes"
    else:
        return
    raise ValueError(
        f"the records of the ledger are not of the search that job.json tells of: {told}; restore "
        "the one that is wrong"
    )


def complete(table: pa.Table) -> pa.Table:
    """The records of which every objective was measured."""
    return table.filter(pc.equal(table["status"], "ok"))


def losses(table: pa.Table, values: Values) -> NDArray[np.float64]:
    """(n, m) losses of complete records."""
    signs = [Goal(v["goal"]).sign for v in values if v["target"]]
    columns = [
        sign * table[name].to_numpy() for sign, name in zip(signs, targets(values), strict=True)
    ]
    return np.stack(columns, axis=1) if len(table) else np.zeros((0, len(columns)))


def front(table: pa.Table, values: Values) -> pa.Table:
    """The feasible records that no feasible record dominates, best first in the first target."""
    return table.take(front_rows(table, values))


def front_rows(table: pa.Table, values: Values) -> NDArray[np.int64]:
    """(k,) rows of the front's records, best first in the first target."""
    rows = np.flatnonzero(pc.equal(table["status"], "ok").to_numpy())
    ok = table.select([*targets(values), "violation"]).take(rows)
    points = losses(ok, values)
    kept = (
        dominance.front(points, ok["violation"].to_numpy())
        if len(ok)
        else np.zeros(0, dtype=np.int64)
    )
    return rows[kept[np.lexsort(points[kept].T[::-1])]] if len(kept) else kept


def pick(table: pa.Table, values: Values, choice: str) -> dict[str, Any]:
    """The record that `choice` names: a key or the beginning of one, "knee" of the front, or
    "best:NAME" on the front.

    Raises:
        ValueError: It names none, or several.
    """
    best = front(table, values)
    if choice == "knee" or choice.startswith("best:"):
        if len(best) == 0:
            raise ValueError(
                f"cannot pick {choice!r}: the run has no feasible record yet; give a key"
            )
        return _row(
            best,
            dominance.knee(losses(best, values))
            if choice == "knee"
            else _best_index(best, values, choice.removeprefix("best:")),
        )
    keys = table["key"].to_pylist()
    matches = [choice] if choice in keys else [key for key in keys if key.startswith(choice)]
    if len(matches) != 1:
        known = best["key"].to_pylist()
        what = "no record has" if not matches else f"{len(matches)} records have"
        raise ValueError(
            f"{what} a key that begins with {choice!r}; pick 'knee', 'best:NAME' or one of the "
            f"front: {nearest(choice, known)}"
        )
    return _row(table, keys.index(matches[0]))


def network(space: SearchSpace, row: Mapping[str, Any]) -> Architecture:
    """The network of a record, whose key is that of its choices.

    Raises:
        ValueError: Its choices are none of the space, or its key is another network's.
    """
    choices, sizes = list(row["choices"]), [len(gene.options) for gene in space.genes]
    if len(choices) != len(sizes) or not all(
        0 <= choice < size for choice, size in zip(choices, sizes, strict=True)
    ):
        raise ValueError(
            f"the choices of record {str(row['key'])[:80]!r} are none of space {space.name!r}: "
            "take another record, or run anew"
        )
    found = architectures(space, np.array([choices], dtype=np.int16))[0]
    if found.key != row["key"]:
        raise ValueError(
            f"record {str(row['key'])[:80]!r} has the choices of network {found.key}: the ledger "
            "was damaged or made by somebody else; "
            "take another record, or run anew"
        )
    return found


def _best_index(best: pa.Table, values: Values, name: str) -> int:
    by_name = {v["name"]: v for v in values}
    if name not in by_name:
        raise ValueError(f"no objective or cost {name!r} in this run; {nearest(name, by_name)}")
    sign = Goal(by_name[name]["goal"]).sign
    return int(np.argmin(sign * best[name].to_numpy()))


def _row(table: pa.Table, index: int) -> dict[str, Any]:
    row: dict[str, Any] = table.slice(index, 1).to_pylist()[0]
    return row
