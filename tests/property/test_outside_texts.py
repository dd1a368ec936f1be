"""Whatever texts a run folder holds, the page shows them as texts, and the terminal as they are or
visibly escaped.
"""

from __future__ import annotations

import html.parser
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evoray.files.visible_text import visible
from evoray.records.ledger import FolderLedger, read_ledger
from evoray.records.run_folder import RunFolder, write_json
from evoray.records.table import from_table, schema, to_table
from evoray.report.page import write_report
from jobs.cli import main
from tests.runs import make_run

EVIL = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "{{ 7 * 7 }}{% raw %}",
    "${body}$title",
    "\"' onmouseover='alert(1)",
    "&lt;b&gt; &amp;",
    "[red]x[/] [/]",
    "\x1b[31m\x1b]0;title\x07",
    "\u202egnp.exe",
    "a\nb\tc",
    "\ud800",
    "%{x}<extra></extra>",
]
MARK = "qzx"  # nothing of ours holds it
TEXTS = st.builds(lambda a, b: f"{MARK}{a}{b}", st.sampled_from(EVIL), st.text(max_size=12))


class Elements(html.parser.HTMLParser):
    """Every element's name and the attributes that hold something from outside, and every text
    outside scripts.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(sorted(name for name, _ in attrs))))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("outside") / "run").path


def texts_of(value: Any) -> Iterator[str]:
    """Every text in a figure's data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for item in value.values() for text in texts_of(item))
    elif isinstance(value, list):
        yield from (text for item in value for text in texts_of(item))


def rewritten(plain: Path, place: Path, text: str) -> RunFolder:
    """The run with the text in every field that comes from outside."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(plain, place, ignore=shutil.ignore_patterns("ledger", "report.html"))
    folder, held = (
        RunFolder(place),
        text.encode(errors="replace").decode(),
    )  # Parquet holds no halves of surrogate pairs
    name = re.sub("[<>=]", "", held)  # a search refuses these in the name of a value
    job = RunFolder(plain).job()
    for value in job["values"]:
        if value["name"] == "score":
            value |= {"name": name, "unit": text}
    genes = [
        {"name": f"{text}{i}", "options": [f"{text}{o}" for o in gene["options"]]}
        for i, gene in enumerate(job["genes"])
    ]
    limit = {"name": name, "at_most": 75.0, "at_least": None}
    told = {
        "job": text,
        "space": text,
        "config": {text: text},
        "machine": text,
        "versions": {text: text},
    }
    write_json(
        place / "job.json",
        {**job, **told, "values": job["values"], "genes": genes, "constraints": [limit]},
    )
    table = read_ledger(plain / "ledger")
    for kind in ("ledger", "baseline"):
        shutil.rmtree(place / kind, ignore_errors=True)
    assert table is not None
    rows = to_table(from_table(table), schema(["score", "macs"], ["score"])).to_pylist()
    columns = schema([name, "macs"], [name])
    for row in rows:
        row |= {
            "key": held + row["key"],
            "operator": held,
            "worker": held,
            "error": row["error"] and held,
        }
        row |= {
            name: row.pop("score"),
            f"{name}_seconds": row.pop("score_seconds"),
            "parents": [held + p for p in row["parents"]],
        }
    with FolderLedger(folder.ledger, columns) as ledger:
        ledger.append(from_table(pa.Table.from_pylist(rows, schema=columns)))
    lines = [{**line, "loss": {text: 1.0}} for line in folder.metrics()]
    (folder.supernet / "metrics.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
    )
    write_json(place / "phases.json", {text: 3.0})
    probes = [
        {**probe, "key": f"{text}{i}"}
        for i, probe in enumerate((RunFolder(plain).trust() or {})["probes"])
    ]
    folder.write_trust(
        {
            **(RunFolder(plain).trust() or {}),
            "probes": probes,
            "objective": {"name": text, "unit": text},
        }
    )
    return folder


@pytest.mark.slow
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=TEXTS)
def test_no_text_becomes_markup(
    plain: Path, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = rewritten(plain, tmp_path / "run", text)
    write_report([folder], folder.report)
    written = folder.report.read_text(encoding="utf-8")
    body = written[written.index("<main>") : written.index("</main>")]
    found = Elements()
    found.feed(body)
    allowed = {
        "main",
        "header",
        "section",
        "h1",
        "h2",
        "p",
        "b",
        "dl",
        "div",
        "dd",
        "dt",
        "small",
        "code",
        "details",
        "summary",
        "pre",
    }
    assert {tag for tag, _ in found.tags} <= allowed | {
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "ul",
        "li",
    }
    assert {name for _, names in found.tags for name in names} <= {"class", "id", "style", "data-v"}
    assert visible(text, keep="\n\t") in found.text
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", written, flags=re.DOTALL)
    assert len(scripts) == 3
    assert not re.search(r"[<>&]", scripts[1])
    inside = [t for t in texts_of(json.loads(scripts[1])) if MARK in t]
    assert inside
    assert all(re.fullmatch(r"(?:[^<>]|<br>|</?b>)*", t) for t in inside), (
        "plotly takes these for its own HTML"
    )
    capsys.readouterr()
    main(["show", str(folder.path)])
    shown = capsys.readouterr().out
    assert visible(text) in shown
    assert shown.replace("\n", "").isprintable()


@given(text=st.text())
def test_visible_texts_are_printable_and_printable_texts_stay(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert visible(shown) == shown
    assert shown == text or not text.isprintable()
