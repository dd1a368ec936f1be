"""report.html: one self-contained file, plotly inside, no request to any network."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from evoray.files.atomic import replace_text
from evoray.pareto import dominance
from evoray.records.run_folder import RunFolder
from evoray.report import figures, markup
from evoray.report.headline import headline, number
from evoray.report.markup import SECTIONS
from evoray.report.reading import RunView, read_run, reference_of
from evoray.report.sections import Drawing, SystemReport, sections_of
from evoray.report.thinning import thinned
from evoray.results import picking
from objectives.base import Goal

_MOST_CELLS = 5_000  # of the table of a front


def write_report(
    folders: Sequence[RunFolder],
    output: Path,
    report_of: Callable[[RunFolder], SystemReport] = lambda folder: SystemReport(),
) -> None:
    """Draws one run, or several compared, into `output`; what a run does not have is left out, or
    said in a sentence.

    Args:
        folders: Run folders.
        output: The file.
        report_of: Returns the additions of a run's system; without it every run has the shared
            sections.

    Raises:
        ValueError: No run, or runs with other targets than the first.
    """
    if not folders:
        raise ValueError("a report needs at least one run")
    systems = [report_of(folder) for folder in folders]
    runs = [
        read_run(folder, system.baseline) for folder, system in zip(folders, systems, strict=True)
    ]
    others = [run.name for run in runs if run.targets != runs[0].targets]
    if others:
        raise ValueError(
            f"runs in one report must have the same targets: {', '.join(others)} differ from "
            f"{', '.join(runs[0].targets)}"
        )
    page = _Page()
    _write_fronts(page, runs, systems)
    for folder, run, system in zip(folders, runs, systems, strict=True):
        suffix = f" of {run.name}" if len(runs) > 1 else ""
        for section in sections_of(folder, run, system):
            page.add(f"{section.title}{suffix}", section.parts)
    text = markup.page(
        title=f"evoray: {' and '.join(run.name for run in runs)}",
        body=Markup("\n").join(page.parts),
        plotly=Markup(get_plotlyjs()),
        figures=_script_json(page.figures),
    )
    replace_text(output, text)


class _Page:
    """Collects the sections' HTML and the figures that its script draws."""

    def __init__(self) -> None:
        self.parts: list[Markup] = []
        self.figures: list[dict[str, Any]] = []  # plotly's JSON

    def add(self, title: str, parts: Sequence[Markup | Drawing]) -> None:
        placed = [self._placed(part) if isinstance(part, Drawing) else part for part in parts]
        self.parts.append(SECTIONS.section(title, placed))

    def _placed(self, drawing: Drawing) -> Markup:
        """The place where the script draws the figure; one that needs more pixels than the screen
        has scrolls in its own box.
        """
        self.figures.append(json.loads(drawing.figure.to_json()))
        html: Markup = SECTIONS.figure(f"figure-{len(self.figures) - 1}", drawing.least_width)
        return html


def _write_fronts(page: _Page, runs: Sequence[RunView], systems: Sequence[SystemReport]) -> None:
    """Writes the sections that show all runs together: header, front, hypervolume."""
    page.parts.append(SECTIONS.header([(run.name, headline(run)) for run in runs]))
    if all(run.table is None for run in runs):
        page.add("Front", [SECTIONS.note("Nothing has been evaluated yet.")])
        return
    tables = [
        _named(run, runs) + _front_table(run, system)
        for run, system in zip(runs, systems, strict=True)
        if run.front() is not None
    ]
    page.add("Front", [Drawing(figures.front_figure(runs)), *tables])
    volume = None if any(run.rounds for run in runs) else figures.hypervolume_figure(runs)
    if volume is not None:
        note = SECTIONS.note(_reference_text(runs))
        page.add("Hypervolume over evaluations", [Drawing(volume), note])


def _reference_text(runs: Sequence[RunView]) -> str:
    first = runs[0]
    reference = reference_of(
        [t for run in runs for t in (run.table, run.baseline) if t is not None], first.values
    )
    assert reference is not None  # else there is no curve
    signs = [Goal(v["goal"]).sign for v in first.values if v["target"]]
    point = ", ".join(
        f"{first.label(n)} {number(s * r)}"
        for n, s, r in zip(first.targets, signs, reference, strict=True)
    )
    return (
        f"Larger is better. All curves are measured up to one reference point, {point}: "
        "the worst feasible value of each target, and a tenth of its range beyond."
    )


def _front_table(run: RunView, system: SystemReport) -> Markup:
    best = run.front()
    assert best is not None
    names = [v["name"] for v in run.values]
    losses = picking.losses(best, run.values)
    knee = dominance.knee(losses)
    ends = np.unique([knee, *losses.argmin(axis=0)])
    shown = thinned(np.arange(len(best)), max(50, _MOST_CELLS // len(names)), ends)
    rows = [
        {
            "key": row["key"],
            "knee": index == knee,
            "cells": [(repr(row[n]), number(row[n])) for n in names],
        }
        for index, row in zip(shown, best.take(shown).to_pylist(), strict=True)
    ]
    html: Markup = SECTIONS.front_table(
        [run.label(n) for n in names], rows, len(best) - len(rows), system.pick_text
    )
    return html


def _named(run: RunView, runs: Sequence[RunView]) -> Markup:
    html: Markup = SECTIONS.name_of(run.name) if len(runs) > 1 else Markup()
    return html


def _script_json(value: Any) -> Markup:  # Any: JSON
    """JSON that no text in it can break out of a script element."""
    return Markup(
        json.dumps(value, separators=(",", ":"))
        .replace("&", "\\u0026")
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
    )
