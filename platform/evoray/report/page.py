"""report.html: one self-contained file, plotly inside, no request to any network."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

from plotly.offline import get_plotlyjs

from evoray import pareto, selection
from evoray.records import Status
from evoray.replacing import replace_text
from evoray.report import figures
from evoray.report.chip import GANTT_TEXT, METHODS_TEXT, block_diagram, design_text, energy_figure, gantt_figure, methods_table
from evoray.report.gallery import gallery
from evoray.report.genealogy import genealogy_figure
from evoray.report.headline import headline, number
from evoray.report.reading import RunView, read_run, reference_of
from evoray.report.rounds import ROUNDS_TEXT, rounds_figure
from evoray.run_folder import RunFolder
from objectives.base import Goal

_TAKE = (
    "take a network away with <code>evoray export RUN</code>",
    "make images with <code>evoray sample RUN</code>",
)  # of a stage: the second
_CONFLICT_TEXT = (
    "Mean cosine similarity between the gradients of two subnets on the weights that they share: within one step, and between a step "
    "and the next. Below 0 they work against each other."
)
_TEMPLATE = Path(__file__).with_name("page.html")


def write_report(folders: Sequence[RunFolder], output: Path) -> None:
    """Draws one run, or several compared, into `output`; what a run does not have is left out, or said in a sentence.

    Raises:
        ValueError: No run, or runs with other targets than the first.
    """
    runs = [read_run(folder) for folder in folders]
    if not runs:
        raise ValueError("a report needs at least one run")
    others = [run.name for run in runs if run.targets != runs[0].targets]
    if others:
        raise ValueError(f"runs in one report must have the same targets: {', '.join(others)} differ from {', '.join(runs[0].targets)}")
    page = _Page()
    _write_sections(page, runs)
    title = f"evoray: {' and '.join(run.name for run in runs)}"
    text = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=html.escape(title), plotly=get_plotlyjs(), body="\n".join(page.parts), figures=_script_json(page.figures)
    )
    replace_text(output, text)


class _Page:
    """Collects the sections' HTML and the figures that its script draws."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.figures: list[dict[str, Any]] = []  # plotly's JSON

    def section(self, title: str, *parts: str) -> None:
        self.parts.append(f"<section><h2>{html.escape(title)}</h2>{''.join(parts)}</section>")

    def figure(self, figure: figures.Figure, *, least_width: int = 0) -> str:
        """The place where the script draws the figure; one that needs more pixels than the screen has scrolls in its own box."""
        self.figures.append(json.loads(figure.to_json()))
        name = f"figure-{len(self.figures) - 1}"
        style = f' style="min-width:{least_width}px"' if least_width else ""
        return f'<div class="scroll"><div id="{name}"{style}></div></div>'


def _write_sections(page: _Page, runs: Sequence[RunView]) -> None:
    page.parts.append(f"<header><h1>{' <small>and</small> '.join(html.escape(run.name) for run in runs)}</h1>")
    page.parts += [f"{_named(run, runs)}{headline(run)}" for run in runs]
    page.parts.append("</header>")
    if any(run.records for run in runs):
        page.section(
            "Front",
            page.figure(figures.front_figure(runs)),
            *(f"{_named(run, runs)}{_front_table(run)}" for run in runs if run.front() is not None),
        )
        volume = None if any(run.rounds for run in runs) else figures.hypervolume_figure(runs)
        if volume is not None:
            page.section("Hypervolume over evaluations", page.figure(volume), _p(_reference_text(runs)))
    else:
        page.section("Front", _p("Nothing has been evaluated yet."))
    for run in runs:
        _write_run(page, run, runs)


def _write_run(page: _Page, run: RunView, runs: Sequence[RunView]) -> None:
    suffix = f" of {run.name}" if len(runs) > 1 else ""
    if run.pictures:
        page.section(f"Pictures{suffix}", gallery(run.pictures))
    rounds = rounds_figure(run)
    if rounds is not None:
        page.section(f"Rounds{suffix}", page.figure(rounds), _p(ROUNDS_TEXT))
    parallel = figures.parallel_figure(run)
    if parallel is not None:
        colour = html.escape(run.label(run.targets[0]))
        text = f"One line a network, coloured by {colour}. Drag along an axis to keep a range of it, along a name to move it."
        page.section(f"Genes and values{suffix}", page.figure(parallel, least_width=figures.parallel_width(run, parallel)), _p(text))
    _write_chip(page, run, suffix)
    tree = genealogy_figure(run)
    if tree is not None:
        page.section(f"Genealogy of the front{suffix}", page.figure(tree))
    training = figures.training_figure(run)
    if training is not None:
        page.section(f"Training{suffix}", page.figure(training))
    conflict = figures.conflict_figure({"": run.metrics})
    if conflict is not None:
        page.section(f"Gradient conflict{suffix}", page.figure(conflict), _p(_CONFLICT_TEXT))
    trust = figures.trust_figure(run)
    if trust is not None:
        page.section(f"Trust in the supernet{suffix}", page.figure(trust), _trust_text(run))
    page.section(f"Candidates{suffix}", _statistics(run))
    spent = figures.time_figure(run)
    if spent is not None:
        page.section(f"Time{suffix}", page.figure(spent))
    page.section(
        f"Configuration{suffix}",
        *(_details(name, run.job.get(name)) for name in ("config", "constraints", "extractor", "versions", "machine")),
    )


def _write_chip(page: _Page, run: RunView, suffix: str) -> None:
    """Of a search of networks and chip: the design handed over, and what other methods found."""
    if run.comparison:
        page.section(f"Methods at equal numbers of measured networks{suffix}", methods_table(run), _p(METHODS_TEXT))
    if run.chip is not None:
        page.section(f"Chip{suffix}", block_diagram(run.chip), _p(design_text(run)))
        page.section(f"Layers on the sub-accelerators{suffix}", page.figure(gantt_figure(run.chip), least_width=620), _p(GANTT_TEXT))
        page.section(f"Where the energy goes{suffix}", page.figure(energy_figure(run.chip)))


def _reference_text(runs: Sequence[RunView]) -> str:
    first = runs[0]
    reference = reference_of([t for run in runs for t in (run.table, run.baseline) if t is not None], first.values)
    assert reference is not None  # else there is no curve
    signs = [Goal(v["goal"]).sign for v in first.values if v["target"]]
    point = ", ".join(f"{html.escape(first.label(n))} {number(s * r)}" for n, s, r in zip(first.targets, signs, reference, strict=True))
    return (
        f"Larger is better. All curves are measured up to one reference point, {point}: "
        "the worst feasible value of each target, and a tenth of its range beyond."
    )


def _front_table(run: RunView) -> str:
    best = run.front()
    if best is None:
        return ""
    names = [v["name"] for v in run.values]
    head = "".join(f"<th>{html.escape(run.label(n))}</th>" for n in names)
    rows = []
    knee = pareto.knee(selection.losses(best, run.values))
    for index, row in enumerate(best.to_pylist()):
        mark = ' class="knee"' if index == knee else ""
        cells = "".join(f'<td data-v="{row[n]!r}">{number(row[n])}</td>' for n in names)
        rows.append(f"<tr{mark}><td><code>{html.escape(row['key'])}</code></td>{cells}</tr>")
    return (
        f'<div class="scroll tall"><table class="sortable"><thead><tr><th>key</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
        + _p(f"The knee is marked. Click a head to sort; {_TAKE['stage' in run.job]} <code>--pick KEY</code>.")
    )


def _statistics(run: RunView) -> str:
    records = run.history
    rows: list[tuple[str, int]] = []
    if run.statistics:
        rows.append(("proposed by the searchers", run.statistics["proposed"]))
        rows += [(f"rejected before dispatch: {reason}", count) for reason, count in run.statistics["rejected"].items()]
        rows.append(("known from another shard", run.statistics["known"]))
        rows.append(("duplicates that the searchers threw away", run.statistics["duplicates"]))
    rows.append((f"measured in {len(run.rounds)} rounds" if run.rounds else "evaluated", len(records)))
    rows.append(("feasible", sum(r.status is Status.OK and r.violation <= 0 for r in records)))
    for constraint in run.job["constraints"]:
        rows += _measured_breaks(run, constraint)
    rows.append(("cancelled by a measured constraint", sum(r.status is Status.CANCELLED for r in records)))
    rows.append(("failed", sum(r.status is Status.FAILED for r in records)))
    if run.collapses is not None:
        rows.append(("collapses noticed in training", len(run.collapses)))
    body = "".join(f"<tr><td>{html.escape(name)}</td><td>{count:,}</td></tr>" for name, count in rows)
    errors: dict[str, int] = {}
    for record in records:
        if record.error:
            errors[record.error] = errors.get(record.error, 0) + 1
    worst = sorted(errors.items(), key=lambda item: -item[1])[:10]
    listed = "".join(f"<li>{count} × <code>{html.escape(error)}</code></li>" for error, count in worst)
    return f'<div class="scroll"><table><tbody>{body}</tbody></table></div>' + (f"<ul>{listed}</ul>" if listed else "")


def _measured_breaks(run: RunView, constraint: dict[str, Any]) -> list[tuple[str, int]]:
    """How many records break one constraint on a measured objective."""
    kinds = {v["name"]: v["kind"] for v in run.values}
    if kinds.get(constraint["name"]) != "measured":
        return []
    low = -float("inf") if constraint["at_least"] is None else constraint["at_least"]
    high = float("inf") if constraint["at_most"] is None else constraint["at_most"]
    measured = [r.values[constraint["name"]] for r in run.records if constraint["name"] in r.values]
    bounds = " and ".join(f"{sign} {bound:g}" for sign, bound in ((">=", low), ("<=", high)) if abs(bound) != float("inf"))
    return [(f"measured {constraint['name']} breaks {bounds}", sum(not low <= value <= high for value in measured))]


def _trust_text(run: RunView) -> str:
    assert run.trust is not None
    kendall, spearman = run.trust["kendall"], run.trust["spearman"]
    sides = (("recalibrated", "With batch-norm recalibration"), ("without", "without it"))
    parts = [f"{words} Kendall's tau is <b>{kendall[side]:+.3f}</b> and Spearman's rho {spearman[side]:+.3f}" for side, words in sides]
    return _p(f"{parts[0]}; {parts[1]}, over {len(run.trust['probes'])} networks trained alone with the supernet's budget.")


def _details(name: str, value: Any) -> str:  # Any: JSON
    text = html.escape(json.dumps(value, indent=2))
    return f"<details><summary>{html.escape(name)}</summary><pre>{text}</pre></details>" if value else ""


def _named(run: RunView, runs: Sequence[RunView]) -> str:
    return f"<h3>{html.escape(run.name)}</h3>" if len(runs) > 1 else ""


def _p(text: str) -> str:
    return f'<p class="note">{text}</p>'


def _script_json(value: Any) -> str:  # Any: JSON
    """JSON that no text in it can break out of a script element."""
    return json.dumps(value).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
