"""Sections of the report: what one is, those that every run has, and where a system's own ones come
in.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from evoray.records.records import Status
from evoray.records.run_folder import RunFolder
from evoray.report import figures, training_figures
from evoray.report.genealogy import genealogy_figure
from evoray.report.markup import SECTIONS
from evoray.report.pictures import read_pictures
from evoray.report.reading import RunView
from evoray.report.rounds import ROUNDS_TEXT, rounds_figure
from evoray.report.thinning import said

_MOST_REASONS = 20  # for rejections, each in a line
_MOST_ERRORS = 10
_MOST_LETTERS = 1000  # of an error: it can be a whole log


@dataclass(frozen=True)
class Drawing:
    """A figure of a section.

    Attributes:
        figure: Figure of plotly.
        least_width: Pixels below which it scrolls in its own box.
    """

    figure: figures.Figure
    least_width: int = 0


@dataclass(frozen=True)
class Section:
    """A part of the report under a title.

    Attributes:
        title: Title of the section.
        parts: HTML, and figures that the page's script draws.
    """

    title: str
    parts: Sequence[Markup | Drawing]


SectionsOf = Callable[[RunFolder, RunView], Iterator[Section]]  # none for what a run does not have


@dataclass(frozen=True)
class SystemReport:
    """Sections and words that a system adds to the report of its runs.

    Attributes:
        sections: Sections of the system's own, after the genes and values.
        baseline: Names, one a level, of the folder inside the run's that holds random search's
            ledger.
        pick_text: Use of a network of the front: a few words, and the command.
    """

    sections: Sequence[SectionsOf] = ()
    baseline: Sequence[str] = ("baseline",)
    pick_text: tuple[str, str] = ("take a network away with", "evoray export RUN")


def sections_of(folder: RunFolder, run: RunView, system: SystemReport) -> Iterator[Section]:
    """Everything that the report says of one run alone."""
    for part in (*_FIRST, *system.sections, *_LAST):
        yield from part(folder, run)


def _gallery(folder: RunFolder, run: RunView) -> Iterator[Section]:
    pictures = read_pictures(folder)
    if pictures:
        shown = [{"title": "", "kind": "", "caption": "", **picture} for picture in pictures]
        yield Section("Pictures", [SECTIONS.gallery(shown)])


def _rounds(folder: RunFolder, run: RunView) -> Iterator[Section]:
    rounds = rounds_figure(run)
    if rounds is not None:
        yield Section("Rounds", [Drawing(rounds), SECTIONS.note(ROUNDS_TEXT)])


def _genes(folder: RunFolder, run: RunView) -> Iterator[Section]:
    parallel = figures.parallel_figure(run)
    if parallel is not None:
        lines = said("One line a network", len(parallel.data[0].line.color), len(run.complete_rows))
        text = (
            f"{lines}, coloured by {run.label(run.targets[0])}. Drag along an axis to keep a range "
            "of it, along a name to move it."
        )
        drawing = Drawing(parallel, figures.parallel_width(run, parallel))
        yield Section("Genes and values", [drawing, SECTIONS.note(text)])


def _genealogy(folder: RunFolder, run: RunView) -> Iterator[Section]:
    tree = genealogy_figure(run)
    if tree is not None:
        yield Section("Genealogy of the front", [Drawing(tree)])


def _training(folder: RunFolder, run: RunView) -> Iterator[Section]:
    training = training_figures.training_figure(run)
    if training is not None:
        yield Section("Training", [Drawing(training)])
    conflict = training_figures.conflict_figure({"": run.metrics})
    if conflict is not None:
        yield Section("Gradient conflict", [Drawing(conflict), SECTIONS.conflict_note()])


def _trust(folder: RunFolder, run: RunView) -> Iterator[Section]:
    trust = training_figures.trust_figure(run)
    if trust is not None:
        yield Section("Trust in the supernet", [Drawing(trust), _trust_note(run)])


def _candidates(folder: RunFolder, run: RunView) -> Iterator[Section]:
    yield Section("Candidates", [_statistics(run)])


def _time(folder: RunFolder, run: RunView) -> Iterator[Section]:
    spent = training_figures.time_figure(run)
    if spent is not None:
        yield Section("Time", [Drawing(spent)])


def _configuration(folder: RunFolder, run: RunView) -> Iterator[Section]:
    shown = ("config", "constraints", "extractor", "versions", "machine")
    yield Section("Configuration", [_details(name, run.job.get(name)) for name in shown])


_FIRST: Sequence[SectionsOf] = (_gallery, _rounds, _genes)
_LAST: Sequence[SectionsOf] = (
    _genealogy,
    _training,
    _trust,
    _candidates,
    _time,
    _configuration,
)


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
    errors = Counter(records.errors[records.failed].tolist()).most_common()
    shown = [(_cut(error), count) for error, count in errors[:_MOST_ERRORS]]
    html: Markup = SECTIONS.counts(rows, shown, sum(count for _, count in errors[_MOST_ERRORS:]))
    return html


def _measured_breaks(run: RunView, constraint: dict[str, Any]) -> list[tuple[str, int]]:
    """Counts the records that break one constraint on a measured objective."""
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


def _cut(text: str) -> str:
    return (
        text
        if len(text) <= _MOST_LETTERS
        else f"{text[:_MOST_LETTERS]} … of {len(text):,} characters"
    )
