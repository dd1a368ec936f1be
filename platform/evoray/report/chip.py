"""The design of a search of networks and chip, in pictures: a block diagram, who runs which layer
when, where the energy goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup

from evoray.records.run_folder import RunFolder
from evoray.report.chip_files import read_chip, read_outcomes
from evoray.report.figures import COLOURS, Figure, plain, styled
from evoray.report.headline import number
from evoray.report.markup import SECTIONS
from evoray.report.reading import RunView
from evoray.report.sections import Drawing, Section

GANTT_TEXT = (
    "Each bar is a layer. A sub-accelerator runs one layer at a time, a network's layers run one "
    "after the other; the mapper saves energy "
    "within the latency spec, so it may use all of the time that the spec allows."
)
METHODS_TEXT = (
    "Each method hands over its most accurate design that meets the specs, or the one nearest to "
    "them. "
    "Networks are pairs that were measured or taken from another method's measurements."
)
_DATAFLOWS = {"dla": "weight stationary", "shi": "output stationary", "rs": "row stationary"}
_WIDTH, _BOX_TOP, _BOX_HEIGHT, _GAP = 760, 120, 168, 28
_CELLS = 128  # squares that the whole budget of units would fill

Design = Mapping[str, Any]  # chip.json
_Shape = dict[str, Any]  # of an SVG, as the template `chip` draws it


def chip_sections(folder: RunFolder, run: RunView) -> Iterator[Section]:
    """The design handed over, and what other methods found."""
    outcomes, design = read_outcomes(folder), read_chip(folder)
    if outcomes:
        yield Section(
            "Methods at equal numbers of measured networks",
            [methods_table(run, outcomes), SECTIONS.note(METHODS_TEXT)],
        )
    if design is not None:
        yield Section("Chip", [block_diagram(design), design_note(run, design)])
        gantt = Drawing(gantt_figure(design), least_width=620)
        yield Section("Layers on the sub-accelerators", [gantt, SECTIONS.note(GANTT_TEXT)])
        yield Section("Where the energy goes", [Drawing(energy_figure(design))])


def block_diagram(design: Design) -> Markup:
    """An SVG: each sub-accelerator with a square for every 1/128 of the units' budget, links as
    thick as their bandwidth.
    """
    slots = [slot for slot in design["chip"] if slot["pes"]]
    room = _WIDTH - 40 - _GAP * (len(slots) - 1)
    width = room / len(slots)
    shapes = [_box(10, 10, _WIDTH - 20, _BOX_TOP + _BOX_HEIGHT + 10, "chip-outline")]
    bandwidth = sum(slot["bandwidth"] for slot in slots)
    shapes.append(_box(20, 22, _WIDTH - 40, 44, "chip-buffer"))
    budget = design["budget"]
    used = sum(slot["pes"] for slot in slots)
    words = (
        f"global buffer and network: {bandwidth} of {budget['bandwidth']} words a cycle for "
        f"{used:,} of {budget['pes']:,} units"
    )
    shapes.append(_text(_WIDTH / 2, 49, words, "middle"))
    for index, slot in enumerate(slots):
        left = 20 + index * (width + _GAP)
        shapes += _sub_accelerator(left, width, slot, COLOURS[index % len(COLOURS)], budget)
    label = f"chip of {len(slots)} sub-accelerators with {used} of {budget['pes']} units"
    html: Markup = SECTIONS.chip(shapes, _WIDTH, _BOX_TOP + _BOX_HEIGHT + 30, label)
    return html


def _sub_accelerator(
    left: float, width: float, slot: Mapping[str, Any], colour: str, budget: Mapping[str, int]
) -> list[_Shape]:
    middle, thickness = left + width / 2, max(1.5, 26.0 * slot["bandwidth"] / budget["bandwidth"])
    template = str(slot["template"])
    link = {
        "x1": f"{middle:.1f}",
        "y1": 66,
        "x2": f"{middle:.1f}",
        "y2": _BOX_TOP,
        "stroke": colour,
        "stroke-width": f"{thickness:.1f}",
    }
    look = {"rx": 8, "fill": colour, "fill-opacity": ".10", "stroke": colour, "stroke-width": "1.5"}
    shapes: list[_Shape] = [
        {"tag": "line", "attributes": link},
        _text(
            middle + thickness / 2 + 8, 98, f"{slot['bandwidth']} words a cycle", "start", "soft"
        ),
        {
            "tag": "rect",
            "attributes": {
                "x": f"{left:.1f}",
                "y": _BOX_TOP,
                "width": f"{width:.1f}",
                "height": _BOX_HEIGHT,
                **look,
            },
        },
        _text(
            left + 14,
            _BOX_TOP + 26,
            f"{template}: {_DATAFLOWS.get(template, '')}",
            "start",
            "strong",
        ),
        _text(left + 14, _BOX_TOP + 47, f"{slot['pes']:,} units", "start", "soft"),
    ]
    cells = max(1, round(_CELLS * slot["pes"] / budget["pes"]))
    step = 11.0
    columns = max(1, int((width - 28) // step))
    step = min(step, (_BOX_HEIGHT - 66) / -(-cells // columns))
    for cell in range(cells):
        x, y = left + 14 + (cell % columns) * step, _BOX_TOP + 58 + (cell // columns) * step
        side = {
            "width": f"{step - 2:.1f}",
            "height": f"{step - 2:.1f}",
            "fill": colour,
            "fill-opacity": ".8",
        }
        shapes.append({"tag": "rect", "attributes": {"x": f"{x:.1f}", "y": f"{y:.1f}", **side}})
    return shapes


def _box(x: float, y: float, width: float, height: float, kind: str) -> _Shape:
    return {
        "tag": "rect",
        "attributes": {"class": kind, "x": x, "y": y, "width": width, "height": height, "rx": 10},
    }


def _text(x: float, y: float, words: str, anchor: str, kind: str = "") -> _Shape:
    return {"words": words, "x": x, "y": y, "anchor": anchor, "kind": kind}


def design_note(run: RunView, design: Design) -> Markup:
    """Networks and values of the design, in a sentence each."""
    networks = [(task, list(genes.items())) for task, genes in design["networks"].items()]
    values = [(run.label(name), number(value)) for name, value in design["values"].items()]
    specs = [(name, number(limit)) for name, limit in design["specs"].items()]
    html: Markup = SECTIONS.design_note(networks, values, specs)
    return html


def gantt_figure(design: Design) -> Figure:
    """Layers as bars over cycles, a row each sub-accelerator, coloured by task; the latency spec
    where it is near.
    """
    slots, layers = design["chip"], design["layers"]
    names = {index: _slot_name(index, slot) for index, slot in enumerate(slots) if slot["pes"]}
    end = max((layer["end"] for layer in layers), default=1.0)
    figure = go.Figure()
    for index, task in enumerate(design["networks"]):
        own = [layer for layer in layers if layer["task"] == task]
        hover = [
            f"{plain(task)}: {plain(layer['name'])}<br>{layer['end'] - layer['start']:,.0f} cycles "
            f"from {layer['start']:,.0f}<br>"
            f"{layer['macs']:,} MACs, {100 * layer['utilization']:.0f} % of the units"
            for layer in own
        ]
        figure.add_trace(
            go.Bar(
                x=[layer["end"] - layer["start"] for layer in own],
                base=[layer["start"] for layer in own],
                y=[names[layer["slot"]] for layer in own],
                orientation="h",
                name=plain(task),
                marker={
                    "color": COLOURS[(index + 2) % len(COLOURS)],
                    "line": {"width": 1, "color": "rgba(255,255,255,0.9)"},
                },
                text=[
                    plain(layer["name"].split(" at ")[0])
                    if layer["end"] - layer["start"] > 0.13 * end
                    else ""
                    for layer in own
                ],
                textposition="inside",
                insidetextanchor="middle",
                hovertext=hover,
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    limit = design["specs"].get("latency")
    if limit is not None and limit <= 3 * end:
        figure.add_vline(
            x=limit,
            line={"dash": "dash", "width": 1.5, "color": "#D55E00"},
            annotation={"text": "spec", "yanchor": "bottom"},
        )
    figure.update_layout(barmode="overlay", bargap=0.35, xaxis_title="cycles")
    figure.update_yaxes(
        categoryorder="array", categoryarray=list(reversed(names.values())), showgrid=False
    )
    return styled(figure, height=150 + 62 * len(names)).update_layout(margin={"l": 110})


def energy_figure(design: Design) -> Figure:
    """Energy of each task on each sub-accelerator, divided into arithmetic, registers, buffers and
    DRAM.
    """
    rows: dict[str, dict[str, float]] = {}
    for layer in design["layers"]:
        name = (
            f"{plain(layer['task'])} on {_slot_name(layer['slot'], design['chip'][layer['slot']])}"
        )
        row = rows.setdefault(name, {})
        for kind, energy in layer["split"].items():
            row[kind] = row.get(kind, 0.0) + energy
    kinds = [
        kind
        for kind in ("MACs", "registers", "buffer", "DRAM")
        if any(row.get(kind) for row in rows.values())
    ]
    figure = go.Figure()
    total = sum(sum(row.values()) for row in rows.values()) or 1.0
    for index, kind in enumerate(kinds):
        shares = [100 * row.get(kind, 0.0) / total for row in rows.values()]
        energies = [row.get(kind, 0.0) for row in rows.values()]
        text = [f"{share:.0f} %" if share >= 4 else "" for share in shares]
        bar = go.Bar(
            x=energies,
            y=list(rows),
            orientation="h",
            name=kind,
            marker_color=COLOURS[index],
            text=text,
            textposition="inside",
        )
        figure.add_trace(bar)
    figure.update_layout(
        barmode="stack", bargap=0.35, xaxis_title=f"energy ({plain(design['units']['energy'])})"
    )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return styled(figure, height=150 + 48 * len(rows)).update_layout(margin={"l": 190})


def _slot_name(index: int, slot: Mapping[str, Any]) -> str:
    return f"{plain(slot['template'])} {index + 1}"


def methods_table(run: RunView, outcomes: Sequence[Mapping[str, Any]]) -> Markup:
    """One row a method, its accuracy, costs, and whether they meet the specs."""
    names, rows = method_rows(outcomes)
    html: Markup = SECTIONS.methods_table([run.label(name) for name in names], rows)
    return html


def method_rows(outcomes: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Names of the values, the accuracy first and the chip's last, and one row a method: its name,
    the specs, these values, networks measured and skipped, the chip.
    """
    names = sorted(
        outcomes[0]["values"], key=lambda name: (name.startswith("asic_"), name != "accuracy")
    )
    return names, [_method_row(outcome, names) for outcome in outcomes]


def _method_row(outcome: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    met = "met" if outcome["violation"] <= 0 else f"broken by {100 * outcome['violation']:.0f} %"
    slots = " + ".join(
        f"{slot['template']} {slot['pes']} × {slot['bandwidth']}"
        for slot in outcome["chip"]
        if slot["pes"]
    )
    counts = [f"{outcome['num_networks']:,}", f"{outcome.get('num_skipped', 0):,}"]
    return [
        outcome["method"],
        met,
        *(number(outcome["values"].get(name)) for name in names),
        *counts,
        slots,
    ]
