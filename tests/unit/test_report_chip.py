"""Pictures of a design: drawn from chip.json alone, every layer and all the energy in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.parts.codesign import stub_study
from evoray.records.run_folder import RunFolder, write_json
from evoray.report.chip import block_diagram, energy_figure, gantt_figure
from evoray.report.page import write_report
from jobs.pipelines.cosearch.design import described
from jobs.pipelines.cosearch.report import REPORT
from objectives.asic.specs import Specs
from tests.runs import make_run


@pytest.fixture(scope="module")
def design() -> Any:
    study = stub_study("digits", Specs(latency=1e4, energy=1.2e7, area=1e9))
    chip = study.chip.choices_of([("dla", 1024, 16), ("shi", 512, 48)])
    row = study.designs(np.ones((1, 11), dtype=np.int16), chip)[0]
    values = {"accuracy": 50.0} | {
        name: float(column[0]) for name, column in study.costs(row[None]).items()
    }
    return json.loads(json.dumps(described(study, row, values)))


def test_the_diagram_has_a_square_for_every_32_units_and_links_by_bandwidth(design: Any) -> None:
    drawn = block_diagram(design)
    assert drawn.count('fill-opacity=".8"') == (1024 + 512) // 32
    assert "dla: weight stationary" in drawn
    assert "64 of 64 words a cycle for 1,536 of 4,096 units" in drawn
    assert 'stroke-width="6.5"' in drawn
    assert 'stroke-width="19.5"' in drawn


def test_every_layer_is_a_bar_and_all_energy_is_shown(design: Any) -> None:
    bars = gantt_figure(design).data
    assert sum(len(bar.x) for bar in bars) == len(design["layers"])
    assert max(
        float(b) + float(x) for bar in bars for b, x in zip(bar.base, bar.x, strict=True)
    ) == pytest.approx(design["values"]["asic_latency"])
    spent = sum(float(x) for bar in energy_figure(design).data for x in bar.x)
    assert spent == pytest.approx(design["values"]["asic_energy"])


def test_a_run_with_a_chip_shows_it_and_no_text_breaks_out(design: Any, tmp_path: Path) -> None:
    folder: RunFolder = make_run(tmp_path / "run")
    bad = "<script>window.broken = 1</script>"
    write_json(
        folder.path / "chip.json",
        {**design, "networks": {bad: {"gene": bad}, **design["networks"]}},
    )
    for method in ("evolution", "random"):
        place = folder.path / "comparison" / method
        place.mkdir(parents=True)
        outcome = {
            "method": bad if method == "random" else method,
            "violation": 0.25,
            "num_networks": 12,
            **design,
        }
        write_json(place / "outcome.json", outcome)
    write_report([folder], folder.report, lambda _: REPORT)
    text = folder.report.read_text(encoding="utf-8")
    body = text[text.index("<main>") : text.index("</main>")]
    for title in (
        "Chip",
        "Layers on the sub-accelerators",
        "Where the energy goes",
        "Methods at equal numbers of measured networks",
    ):
        assert f"<h2>{title}</h2>" in body
    assert "broken by 25 %" in body
    assert bad not in body
