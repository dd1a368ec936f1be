"""report.html: one self-contained file, plotly inside, no request to any network."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from evoray.files.atomic import replace_text
from evoray.pareto import dominance
from evoray.records.records import Status
from evoray.records.run_folder import RunFolder
from evoray.report import figures, markup
from evoray.report.chip import (
    GANTT_TEXT,
    METHODS_TEXT,
    block_diagram,
    design_note,
    energy_figure,
    gantt_figure,
    methods_table,
)
from evoray.report.genealogy import genealogy_figure
from evoray.report.headline import headline, number
from evoray.report.markup import SECTIONS
from evoray.report.reading import RunView, read_run, reference_of
from evoray.report.rounds import ROUNDS_TEXT, rounds_figure
from evoray.report.thinning import said, thinned
from evoray.results import picking
from objectives.base import Goal

_MOST_CELLS = 5_000  # of the table of a front
_MOST_REASONS = 20  # for rejections, each in a line
_MOST_ERRORS = 10
_MOST_LETTERS = 1000  # of an error: it can be a whole log


def write_report(folders: Sequence[RunFolder], output: Path) -> None:
    """Draws one run, or several compared, into `output`; what a run does not have is left out, or
    said in a sentence.

    Raises:
        ValueError: No run, or runs with other targets than the first.
    """
    runs = [read_run(folder) for folder in folders]
    if not runs:
        raise ValueError("a report needs at least one run")
    others = [run.name for run in runs if run.targets != runs[0].targets]
    if others:
        raise ValueError(
            f"runs in one report must have the same targets: {', '.join(others)} differ from "
            f"{', '.join(runs[0].targets)}"
        )
    page = _Page()
    _write_sections(page, runs)
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

    def section(self, title: str, *parts: Markup) -> None:
        self.parts.append(SECTIONS.section(title, parts))

    def figure(self, figure: figures.Figure, *, least_width: int = 0) -> Markup:
        """The place where the script draws the figure; one that needs more pixels than the screen
        has scrolls in its own box.
        """
        self.figures.append(json.loads(figure.to_json()))
        html: Markup = SECTIONS.figure(f"figure-{len(self.figures) - 1}", least_width)
        return html


def _write_sections(page: _Page, runs: Sequence[RunView]) -> None:
    page.parts.append(SECTIONS.header([(run.name, headline(run)) for run in runs]))
    if any(run.table is not None for run in runs):
        page.section(
            "Front",
            page.figure(figures.front_figure(runs)),
            *(_named(run, runs) + _front_table(run) for run in runs if run.front() is not None),
        )
        volume = None if any(run.rounds for run in runs) else figures.hypervolume_figure(runs)
        if volume is not None:
            page.section(
                "Hypervolume over evaluations",
                page.figure(volume),
                SECTIONS.note(_reference_text(runs)),
            )
    else:
        page.section("Front", SECTIONS.note("Nothing has been evaluated yet."))
    for run in runs:
        _write_run(page, run, runs)


def _write_run(page: _Page, run: RunView, runs: Sequence[RunView]) -> None:
    suffix = f" of {run.name}" if len(runs) > 1 else ""
    if run.pictures:
        page.section(
            f"Pictures{suffix}",
            SECTIONS.gallery(
                [{"title": "", "kind": "", "caption": "", **picture} for picture in run.pictures]
            ),
        )
    rounds = rounds_figure(run)
    if rounds is not None:
        page.section(f"Rounds{suffix}", page.figure(rounds), SECTIONS.note(ROUNDS_TEXT))
    parallel = figures.parallel_figure(run)
    if parallel is not None:
        lines = said("One line a network", len(parallel.data[0].line.color), len(run.complete_rows))
        text = (
            f"{lines}, coloured by {run.label(run.targets[0])}. Drag along an axis to keep a range "
            "of it, along a name to move it."
        )
        page.section(
            f"Genes and values{suffix}",
            page.figure(parallel, least_width=figures.parallel_width(run, parallel)),
            SECTIONS.note(text),
        )
    _write_chip(page, run, suffix)
    tree = genealogy_figure(run)
    if tree is not None:
        page.section(f"Genealogy of the front{suffix}", page.figure(tree))
    training = figures.training_figure(run)
    if training is not None:
        page.section(f"Training{suffix}", page.figure(training))
    conflict = figures.conflict_figure({"": run.metrics})
    if conflict is not None:
        page.section(f"Gradient conflict{suffix}", page.figure(conflict), SECTIONS.conflict_note())
    trust = figures.trust_figure(run)
    if trust is not None:
        page.section(f"Trust in the supernet{suffix}", page.figure(trust), _trust_note(run))
    page.section(f"Candidates{suffix}", _statistics(run))
    spent = figures.time_figure(run)
    if spent is not None:
        page.section(f"Time{suffix}", page.figure(spent))
    page.section(
        f"Configuration{suffix}",
        *(
            _details(name, run.job.get(name))
            for name in ("config", "constraints", "extractor", "versions", "machine")
        ),
    )


def _write_chip(page: _Page, run: RunView, suffix: str) -> None:
    """Of a search of networks and chip: the design handed over, and what other methods found."""
    if run.comparison:
        page.section(
            f"Methods at equal numbers of measured networks{suffix}",
            methods_table(run),
            SECTIONS.note(METHODS_TEXT),
        )
    if run.chip is not None:
        page.section(f"Chip{suffix}", block_diagram(run.chip), design_note(run))
        page.section(
            f"Layers on the sub-accelerators{suffix}",
            page.figure(gantt_figure(run.chip), least_width=620),
            SECTIONS.note(GANTT_TEXT),
        )
        page.section(f"Where the energy goes{suffix}", page.figure(energy_figure(run.chip)))


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


def _front_table(run: RunView) -> Markup:
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
    command = "sample" if "stage" in run.job else "export"
    html: Markup = SECTIONS.front_table(
        [run.label(n) for n in names], rows, len(best) - len(rows), command
    )
    return html


def _statistics(run: RunView) -> Markup:
    records = run.history
    rows: list[tuple[str, int]] = []
    if run.statistics:
        rows.append(("proposed by the searchers", run.statistics["proposed"]))
        rejected = sorted(run.statistics["rejected"].items(), key=lambda item: -item[1])
        rows += [
            (f"rejected before dispatch: {reason}", count)
            for reason, count in rejected[:_MOST_REASONS]
        ]
        if len(rejected) > _MOST_REASONS:
            others = rejected[_MOST_REASONS:]
            rows.append(
                (
                    f"rejected before dispatch: {len(others)} other reasons",
                    sum(count for _, count in others),
                )
            )
        rows.append(("known from another shard", run.statistics["known"]))
        rows.append(("duplicates that the searchers threw away", run.statistics["duplicates"]))
    rows.append(
        (f"measured in {len(run.rounds)} rounds" if run.rounds else "evaluated", len(records))
    )
    rows.append(
        ("feasible", int(((records.status == Status.OK.code) & (records.violations <= 0)).sum()))
    )
    for constraint in run.job["constraints"]:
        rows += _measured_breaks(run, constraint)
    rows.append(
        ("cancelled by a measured constraint", int((records.status == Status.CANCELLED.code).sum()))
    )
    rows.append(("failed", int(records.failed.sum())))
    if run.collapses is not None:
        rows.append(("collapses noticed in training", len(run.collapses)))
    errors = Counter(records.errors[records.failed].tolist()).most_common()
    shown = [(_cut(error), count) for error, count in errors[:_MOST_ERRORS]]
    html: Markup = SECTIONS.counts(rows, shown, sum(count for _, count in errors[_MOST_ERRORS:]))
    return html


def _measured_breaks(run: RunView, constraint: dict[str, Any]) -> list[tuple[str, int]]:
    """How many records break one constraint on a measured objective."""
    kinds = {v["name"]: v["kind"] for v in run.values}
    if kinds.get(constraint["name"]) != "measured":
        return []
    low = -float("inf") if constraint["at_least"] is None else constraint["at_least"]
    high = float("inf") if constraint["at_most"] is None else constraint["at_most"]
    measured = run.records.values.get(constraint["name"], np.zeros(0))
    measured = measured[~np.isnan(measured)]
    bounds = " and ".join(
        f"{sign} {bound:g}"
        for sign, bound in ((">=", low), ("<=", high))
        if abs(bound) != float("inf")
    )
    return [
        (
            f"measured {constraint['name']} breaks {bounds}",
            int(((measured < low) | (measured > high)).sum()),
        )
    ]


def _trust_note(run: RunView) -> Markup:
    assert run.trust is not None
    kendall, spearman = (
        {side: f"{value:+.3f}" for side, value in run.trust[name].items()}
        for name in ("kendall", "spearman")
    )
    html: Markup = SECTIONS.trust_note(kendall, spearman, len(run.trust["probes"]))
    return html


def _details(name: str, value: Any) -> Markup:  # Any: JSON
    html: Markup = SECTIONS.details(name, json.dumps(value, indent=2)) if value else Markup()
    return html


def _named(run: RunView, runs: Sequence[RunView]) -> Markup:
    html: Markup = SECTIONS.name_of(run.name) if len(runs) > 1 else Markup()
    return html


def _cut(text: str) -> str:
    return (
        text
        if len(text) <= _MOST_LETTERS
        else f"{text[:_MOST_LETTERS]} … of {len(text):,} characters"
    )


def _script_json(value: Any) -> Markup:  # Any: JSON
    """JSON that no text in it can break out of a script element."""
    return Markup(
        json.dumps(value, separators=(",", ":"))
        .replace("&", "\\u0026")
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
    )
