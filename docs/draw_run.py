"""Draws the README's picture from a run: what evoray does, and the front that the run found.

python docs/draw_run.py RUN docs/pictures/run.svg --x params --y accuracy
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evoray.records.ledger import read_ledger
from evoray.records.run_folder import RunFolder
from evoray.results import picking

Points = NDArray[np.float64]  # (n, 2): x and y in the values' own units

_STEPS = (
    ("data", "digits, your pictures, a source of your own"),
    ("supernet", "one training for all networks, Ray Train"),
    ("evolution", "shards and objectives are Ray actors"),
    ("front", "networks with their weights, and a report"),
)
_INK, _MUTED, _FRONT, _SEEN, _RANDOM = "#1f2933", "#616e7c", "#d64545", "#3e7cb1", "#b8c2cc"
_LEFT, _TOP, _WIDTH, _HEIGHT = 460.0, 42.0, 470.0, 250.0  # of the plot


def main() -> None:
    """Reads the command line and writes the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path, help="A run folder.")
    parser.add_argument("output", type=Path, help="The SVG to write.")
    parser.add_argument("--x", default="params", help="The value along the horizontal axis.")
    parser.add_argument("--y", default="accuracy", help="The value along the vertical axis.")
    options = parser.parse_args()
    folder = RunFolder(options.run)
    values = folder.job()["values"]
    table = read_ledger(folder.ledger)
    if table is None:
        raise SystemExit(f"{options.run} has no evaluations to draw")
    axes = [next(v for v in values if v["name"] == name) for name in (options.x, options.y)]
    baseline = read_ledger(folder.baseline)
    front = picking.front(table, values)
    text = picture(axes, points(front, axes), points(table, axes), points(baseline, axes))
    options.output.write_text(text, encoding="utf-8")


def points(table: pa.Table | None, axes: Sequence[dict[str, Any]]) -> Points:
    """Both values of every measured record; none where there is no table."""
    if table is None:
        return np.empty((0, 2))
    columns = [picking.complete(table)[axis["name"]].to_numpy() for axis in axes]
    return np.column_stack(columns)


def picture(axes: Sequence[dict[str, Any]], front: Points, seen: Points, random: Points) -> str:
    """The SVG: four steps on the left, the run on the right."""
    all_points = np.concatenate([front, seen, random])
    low, high = np.quantile(all_points, [0.02, 1.0], axis=0)
    low, high = np.minimum(low, front.min(axis=0)), np.maximum(high, front.max(axis=0))
    margin = (high - low) * 0.05
    low, high = low - margin, high + margin

    def place(values: Points) -> Points:
        inside = values[((values >= low) & (values <= high)).all(axis=1)]
        share = (inside - low) / (high - low)
        return np.column_stack([_LEFT + share[:, 0] * _WIDTH, _TOP + (1 - share[:, 1]) * _HEIGHT])

    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 350" role="img" '
        'font-family="system-ui, sans-serif" font-size="13">',
        "<title>evoray: data, supernet, evolution, and the front of a quickstart run</title>",
        '<rect width="960" height="350" rx="10" fill="#ffffff"/>',
        *_steps(),
        *_axes(axes, low, high),
        *_dots(place(random), _RANDOM, 2.5),
        *_dots(place(seen), _SEEN, 2.5),
        *_dots(place(front), _FRONT, 4.5),
        *_legend((("random search", _RANDOM), ("measured", _SEEN), ("the front", _FRONT))),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _steps() -> list[str]:
    parts = []
    for index, (title, about) in enumerate(_STEPS):
        top = 30 + index * 76
        parts += [
            f'<rect x="24" y="{top}" width="330" height="54" rx="8" fill="#f0f4f8" '
            'stroke="#bcccdc"/>',
            f'<text x="40" y="{top + 22}" fill="{_INK}" font-weight="600">{title}</text>',
            f'<text x="40" y="{top + 42}" fill="{_MUTED}">{about}</text>',
        ]
        if index:
            parts.append(
                f'<path d="M189 {top - 20} v14 m-5 -6 l5 6 l5 -6" fill="none" stroke="{_MUTED}" '
                'stroke-width="1.5"/>'
            )
    return parts


def _axes(axes: Sequence[dict[str, Any]], low: Points, high: Points) -> list[str]:
    bottom, right = _TOP + _HEIGHT, _LEFT + _WIDTH
    parts = [
        f'<path d="M{_LEFT} {_TOP} V{bottom} H{right}" fill="none" stroke="{_INK}"/>',
        f'<text x="{right}" y="{bottom + 38}" text-anchor="end" fill="{_INK}">{_label(axes[0])}'
        "</text>",
        f'<text x="{_LEFT}" y="{_TOP - 14}" fill="{_INK}">{_label(axes[1])}</text>',
    ]
    for tick in _ticks(low[0], high[0]):
        x = _LEFT + (tick - low[0]) / (high[0] - low[0]) * _WIDTH
        parts.append(
            f'<text x="{x:.0f}" y="{bottom + 18}" text-anchor="middle" fill="{_MUTED}">{tick:,.6g}'
            "</text>"
        )
    for tick in _ticks(low[1], high[1]):
        y = bottom - (tick - low[1]) / (high[1] - low[1]) * _HEIGHT
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 4:.0f}" text-anchor="end" fill="{_MUTED}">{tick:,.6g}'
            "</text>"
        )
    return parts


def _label(axis: dict[str, Any]) -> str:
    better = "less" if axis["goal"] == "minimize" else "more"
    unit = "" if axis["unit"] in ("", "parameters", "MACs") else f" ({axis['unit']})"
    return f"{axis['name']}{unit}, {better} is better"


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers between both."""
    step = 10.0 ** np.floor(np.log10((high - low) / 4))
    step *= max(factor for factor in (1, 2, 5) if (high - low) / (step * factor) >= 4)
    return [float(tick) for tick in np.arange(np.ceil(low / step), high / step) * step]


def _dots(places: Points, colour: str, radius: float) -> list[str]:
    return [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}" fill-opacity="0.85"/>'
        for x, y in places
    ]


def _legend(entries: Sequence[tuple[str, str]]) -> list[str]:
    parts = []
    for index, (text, colour) in enumerate(entries):
        y = _TOP + _HEIGHT - 56 + index * 20
        parts += [
            f'<circle cx="{_LEFT + _WIDTH - 105}" cy="{y - 4}" r="4.5" fill="{colour}"/>',
            f'<text x="{_LEFT + _WIDTH - 94}" y="{y}" fill="{_INK}">{text}</text>',
        ]
    return parts


if __name__ == "__main__":
    main()
