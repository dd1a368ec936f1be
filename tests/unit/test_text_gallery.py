"""Pictures of texts found: from kept detections into the run folder, and from there into the
report, whoever has made the folder.
"""

from __future__ import annotations

import hashlib
import html
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from evoray.records.ledger import FolderLedger
from evoray.records.records import Record, Status
from evoray.records.run_folder import RunFolder
from evoray.records.table import schema
from evoray.report import text_gallery
from evoray.report.page import write_report
from evoray.report.text_gallery import MOST_BYTES, MOST_PICTURES, text_sections, write_texts
from jobs.pipelines.detection.pictures import jpeg, write_pictures
from jobs.pipelines.detection.report import REPORT
from objectives.detection.kept import FILE, as_parquet
from objectives.parts.text.decoding.settings import DecodingSettings
from objectives.parts.text.regions import Detection, TextRegion
from tests.runs import make_run

SQUARE = [[1.0, 1.0], [9.0, 1.0], [9.0, 5.0], [1.0, 5.0]]
LINE = [[1.0, 2.0], [5.0, 1.25], [9.0, 2.0], [9.0, 5.0], [1.0, 5.0]]
VALUES = {"f50": 61.24, "f50_held_out": 58.0}
SMALL = jpeg(np.full((3, 8, 16), 90, dtype=np.uint8), (16, 8))


def about(name: str = "a.png") -> dict[str, Any]:
    return {
        "name": name,
        "width": 16,
        "height": 8,
        "truth": [{"points": LINE, "ignored": False}, {"points": SQUARE, "ignored": True}],
        "rectangles": [SQUARE],
        "polygons": [LINE, SQUARE],
    }


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    searched = {"space": "table", "values": [], "genes": [], "constraints": [], "seed": 0}
    return RunFolder.create(tmp_path / "run", {"job": "nask", **searched})


def shown(folder: RunFolder) -> str:
    """The section's HTML, "" where there is none."""
    sections = list(text_sections(folder, cast(Any, None)))  # it looks at the folder alone
    return "".join(str(part) for section in sections for part in section.parts)


def pictures_in(text: str) -> list[str]:
    return re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)


def foreign(folder: RunFolder, texts: Any) -> None:
    """Writes texts.json as somebody else might, without a digest of its own."""
    place = folder.path / "texts" / "texts.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps(texts), encoding="utf-8")


def listed(file: Any, content: bytes = SMALL, **changes: Any) -> dict[str, Any]:
    return {"file": file, "digest": hashlib.sha256(content).hexdigest(), **about(), **changes}


def test_a_report_shows_what_is_annotated_and_what_both_looks_found(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    write_texts(folder, "k1", VALUES, [(SMALL, about("a.png")), (SMALL, about("b.png"))])
    write_report([folder], folder.report, lambda _: REPORT)
    text = folder.report.read_text(encoding="utf-8")
    assert "<h2>Texts found</h2>" in text
    assert "Network k1: f50 61.2 %, f50_held_out 58.0 %." in text
    figures = text[text.index('<div class="texts">') : text.index("Network k1")]
    assert len(pictures_in(figures)) == 2
    assert re.findall(r'data-kind="(\w+)"( checked)?', figures) == [
        ("truth", " checked"),
        ("rectangles", ""),
        ("polygons", " checked"),
    ]
    classes = re.findall(r'<polygon class="([\w ]+)"', figures)
    assert classes == 2 * ["truth", "truth ignored", "rectangles", "polygons", "polygons"]
    assert 'points="1.0,2.0 5.0,1.2 9.0,2.0 9.0,5.0 1.0,5.0"' in figures
    assert figures.count('viewBox="0 0 16 8"') == 2
    assert "<code>b.png</code>: 2 annotated, 2 found" in figures
    # What a box hides has a rule in the page's style.
    for kind in ("truth", "rectangles", "polygons"):
        assert f"[data-kind={kind}]:not(:checked)) polygon.{kind}" in text


def test_a_run_without_pictures_has_no_section(folder: RunFolder) -> None:
    assert shown(folder) == ""
    write_texts(folder, "k1", VALUES, [])
    assert shown(folder) == ""


def test_names_cannot_break_out_of_the_page(folder: RunFolder) -> None:
    bad = "</figure><script>window.broken = 1</script>\"'<img src=x onerror='window.broken=1'>"
    write_texts(folder, bad, {bad: 1.0}, [(SMALL, about(bad))])
    text = shown(folder)
    assert pictures_in(text)
    assert bad not in text
    assert "<script" not in text
    assert "<img src=x" not in text
    assert html.escape("</figure><script>") in text


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"width": "16"},
        {"height": -8},
        {"height": 2.5},
        {"name": 7},
        {"digest": None},
        {"file": ["00.jpg"]},
        {"truth": [{"points": SQUARE}]},
        {"truth": [SQUARE]},
        {"rectangles": SQUARE},
        {"polygons": [[[1.0], [2.0], [3.0]]]},
        {"polygons": [[[1.0, 2.0, 3.0]]]},
        {"polygons": [[["1", '2"/><script>']]]},
        {"polygons": [[[1.0, float("nan")]]]},
        {"polygons": [[[float("inf"), 1.0]]]},
    ],
    ids=str,
)
def test_a_list_of_another_form_is_named_and_left_out(
    folder: RunFolder, change: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    write_texts(folder, "k1", VALUES, [(SMALL, about())])
    foreign(folder, {"key": "k1", "values": VALUES, "pictures": [{**listed("00.jpg"), **change}]})
    assert shown(folder) == ""
    assert "texts.json is damaged" in caplog.text


@pytest.mark.parametrize(
    "texts",
    [
        [],
        {},
        {"key": "k1", "values": VALUES},
        {"key": 1, "values": VALUES, "pictures": []},
        {"key": "k1", "values": {"f50": "61"}, "pictures": []},
        {"key": "k1", "values": VALUES, "pictures": {"00.jpg": about()}},
    ],
    ids=str,
)
def test_a_file_of_another_form_is_named_and_left_out(
    folder: RunFolder, texts: Any, caplog: pytest.LogCaptureFixture
) -> None:
    foreign(folder, texts)
    assert shown(folder) == ""
    assert "texts.json is damaged" in caplog.text


@pytest.mark.parametrize("damage", ["torn", "changed", "bytes"])
def test_a_damaged_list_is_named_and_left_out(
    folder: RunFolder, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_texts(folder, "k1", VALUES, [(SMALL, about())])
    place = folder.path / "texts" / "texts.json"
    content = place.read_bytes()
    changed = {
        "torn": content[:-20],
        "changed": content.replace(b"61.24", b"91.24"),
        "bytes": b"\xff\xfe\x00",
    }
    place.write_bytes(changed[damage])
    assert shown(folder) == ""
    assert "texts.json is damaged" in caplog.text


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "changed",
        "torn",
        "no jpeg",
        "link",
        "link inside",
        "pipe",
        "folder",
        "huge",
        "dots",
        "absolute",
        "empty name",
    ],
)
def test_a_picture_that_is_not_the_one_listed_is_named_and_left_out(
    folder: RunFolder, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_texts(folder, "k1", VALUES, [(SMALL, about("bad")), (SMALL, about("good"))])
    place, content, name = folder.path / "texts" / "00.jpg", SMALL, "00.jpg"
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(SMALL)
    place.unlink()
    if kind == "changed":
        place.write_bytes(SMALL[:-1] + b"x")
    elif kind == "torn":
        place.write_bytes(SMALL[:-9])
    elif kind == "no jpeg":
        content = b"root:x:0:0"
        place.write_bytes(content)
    elif kind == "link":
        place.symlink_to(secret)
    elif kind == "link inside":
        place.symlink_to("01.jpg")
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    elif kind == "huge":
        with place.open("wb") as stream:
            stream.write(SMALL)
            stream.truncate(1 << 40)
    name = {"dots": "../../secret.jpg", "absolute": str(secret), "empty name": ""}.get(kind, name)
    lines = [listed(name, content, name="bad"), listed("01.jpg", name="good")]
    foreign(folder, {"key": "k1", "values": VALUES, "pictures": lines})
    text = shown(folder)
    assert re.findall(r"<figcaption><code>(.*?)</code>", text) == ["good"]
    assert "is left out" in caplog.text


def test_a_list_that_is_a_link_out_of_the_folder_is_refused(
    folder: RunFolder, tmp_path: Path
) -> None:
    write_texts(folder, "k1", VALUES, [(SMALL, about())])
    place = folder.path / "texts" / "texts.json"
    place.rename(tmp_path / "elsewhere.json")
    place.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ValueError, match="is a link that leads out of run folder"):
        shown(folder)


def test_a_folder_of_texts_that_is_a_link_out_is_refused(folder: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (folder.path / "texts").symlink_to(tmp_path / "outside")
    with pytest.raises(ValueError, match="is a link that leads out of run folder"):
        RunFolder.open(folder.path)
    with pytest.raises(ValueError, match="is a link that leads out of run folder"):
        write_texts(folder, "k1", VALUES, [(SMALL, about())])
    assert not list((tmp_path / "outside").iterdir())


def test_a_dozen_pictures_are_written(folder: RunFolder) -> None:
    write_texts(folder, "k1", VALUES, [(SMALL, about(f"{i}.png")) for i in range(20)])
    assert len(list((folder.path / "texts").glob("*.jpg"))) == MOST_PICTURES
    assert len(pictures_in(shown(folder))) == MOST_PICTURES


def test_two_megabytes_of_pictures_are_written(folder: RunFolder) -> None:
    large = SMALL + bytes(MOST_BYTES // 4 - len(SMALL))
    write_texts(folder, "k1", VALUES, [(large, about(f"{i}.png")) for i in range(6)])
    written = [file.stat().st_size for file in (folder.path / "texts").glob("*.jpg")]
    assert len(written) == 4
    assert sum(written) <= MOST_BYTES
    assert len(pictures_in(shown(folder))) == 4


def test_of_a_foreign_list_no_more_is_shown_than_is_written(folder: RunFolder) -> None:
    write_texts(folder, "k1", VALUES, [(SMALL, about())])
    foreign(folder, {"key": "k1", "values": VALUES, "pictures": [listed("00.jpg")] * 500})
    assert len(pictures_in(shown(folder))) == MOST_PICTURES
    large = SMALL + bytes(MOST_BYTES // 2 - len(SMALL))
    (folder.path / "texts" / "00.jpg").write_bytes(large)
    lines = [listed("00.jpg", large)] * 5
    foreign(folder, {"key": "k1", "values": VALUES, "pictures": lines})
    assert len(pictures_in(shown(folder))) == 2


class Images:
    """A data source and its validation split: black pictures with one text each."""

    def __init__(self, sizes: Mapping[str, tuple[int, int]]) -> None:
        self.sizes = dict(sizes)

    def open(self, split: str) -> Images:
        assert split == "val"
        return self

    def __len__(self) -> int:
        return len(self.sizes)

    def name(self, index: int) -> str:
        return list(self.sizes)[index]

    def pixels(self, index: int) -> NDArray[np.uint8]:
        return np.zeros((3, *list(self.sizes.values())[index]), dtype=np.uint8)

    def regions(self, index: int) -> tuple[TextRegion, ...]:
        return (TextRegion(np.array(LINE), "EXIT", ignored=index == 0),)


def value(name: str, goal: str, target: bool) -> dict[str, Any]:
    unit = "%" if goal == "maximize" else "ms"
    return {"name": name, "unit": unit, "goal": goal, "target": target, "kind": "measured"}


def searched(tmp_path: Path, records: Sequence[Record]) -> RunFolder:
    names = {"f50": "maximize", "latency": "minimize", "f70": "maximize"}
    job = {
        "job": "nask",
        "space": "table",
        "values": [value(name, goal, name != "f70") for name, goal in names.items()],
        "genes": [{"name": "gene", "options": [0, 1, 2]}],
        "constraints": [],
        "seed": 0,
    }
    folder = RunFolder.create(tmp_path / "run", job)
    with FolderLedger(folder.ledger, schema(list(names), ["detection"])) as ledger:
        ledger.append(records)
    return folder


def record(key: str, f50: float, latency: float, violation: float = 0.0) -> Record:
    values = {"f50": f50, "latency": latency, "f70": f50 / 2}
    return Record(key=key, choices=(int(key[-1]),), values=values, violation=violation)


RECORDS = (record("k0", 20.0, 1.0), record("k1", 70.0, 9.0), record("k2", 40.0, 5.0))


def keep(folder: RunFolder, key: str, names: Sequence[str]) -> None:
    one = Detection(np.array(SQUARE), 0.9)
    found = {name: ((one,), (one, Detection(np.array(LINE), 0.5))) for name in names}
    content = as_parquet(found, DecodingSettings(), "digest")
    folder.keep_files(key, "detection", {FILE: content})


def written(folder: RunFolder) -> Any:
    place = folder.path / "texts" / "texts.json"
    return json.loads(place.read_text(encoding="utf-8")) if place.exists() else None


def source(**sizes: tuple[int, int]) -> Any:
    return Images({f"{name}.png": size for name, size in sizes.items()})


def test_the_network_of_the_best_f_measure_is_shown(tmp_path: Path) -> None:
    folder = searched(tmp_path, RECORDS)
    for key in ("k0", "k1", "k2"):
        keep(folder, key, ["b.png", "a.png"])
    write_pictures(folder, source(a=(8, 16), b=(8, 16)))
    texts = written(folder)
    assert texts["key"] == "k1"
    assert texts["values"] == {"f50": 70.0, "f70": 35.0}
    assert [one["name"] for one in texts["pictures"]] == ["a.png", "b.png"]
    first = texts["pictures"][0]
    assert first["truth"] == [{"points": np.round(LINE, 1).tolist(), "ignored": True}]
    assert first["rectangles"] == [SQUARE]
    assert first["polygons"] == [SQUARE, np.round(LINE, 1).tolist()]
    assert len(pictures_in(shown(folder))) == 2


def test_large_pictures_are_shrunk_and_outlines_with_them(tmp_path: Path) -> None:
    folder = searched(tmp_path, RECORDS)
    keep(folder, "k1", ["flat.png", "large.png"])
    write_pictures(folder, source(large=(640, 1280), flat=(1, 5000)))
    flat, large = written(folder)["pictures"]
    assert (large["width"], large["height"]) == (640, 320)
    assert large["rectangles"] == [(np.array(SQUARE) / 2).tolist()]
    assert (flat["width"], flat["height"]) == (640, 1)
    for one in (flat, large):
        content = (folder.path / "texts" / one["file"]).read_bytes()
        assert Image.open(io.BytesIO(content)).size == (one["width"], one["height"])


def test_a_dozen_of_many_images_are_shown_and_none_that_the_data_lacks(tmp_path: Path) -> None:
    folder = searched(tmp_path, RECORDS)
    names = [f"i{number:02d}" for number in range(30)]
    keep(folder, "k1", ["gone.png", *(f"{name}.png" for name in names)])
    write_pictures(folder, source(**dict.fromkeys(names, (8, 16))))
    shown_names = [one["name"] for one in written(folder)["pictures"]]
    assert shown_names == [f"{name}.png" for name in names[:MOST_PICTURES]]


def test_a_network_whose_detections_were_not_kept_has_no_pictures(tmp_path: Path) -> None:
    folder = searched(tmp_path, RECORDS)
    keep(folder, "k0", ["a.png"])
    write_pictures(folder, source(a=(8, 16)))
    assert written(folder) is None


@pytest.mark.parametrize(
    "records",
    [
        [record("k0", 20.0, 1.0, violation=5.0)],
        [Record(key="k0", choices=(0,), status=Status.FAILED, error="detection: not finite")],
    ],
    ids=["no feasible network", "nothing measured"],
)
def test_a_search_that_found_nothing_ends_without_pictures(
    tmp_path: Path, records: Sequence[Record]
) -> None:
    folder = searched(tmp_path, records)
    keep(folder, "k0", ["a.png"])
    write_pictures(folder, source(a=(8, 16)))
    assert written(folder) is None


def test_damaged_detections_are_named_and_give_no_pictures(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = searched(tmp_path, RECORDS)
    keep(folder, "k1", ["a.png"])
    file = folder.candidate_file("k1", "detection", FILE)
    file.write_bytes(file.read_bytes()[:-40])
    write_pictures(folder, source(a=(8, 16)))
    assert written(folder) is None
    assert FILE in caplog.text


def test_detections_that_are_a_link_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    folder = searched(tmp_path, RECORDS)
    keep(folder, "k1", ["a.png"])
    file = folder.candidate_file("k1", "detection", FILE)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="is a link that leads out of run folder"):
        write_pictures(folder, source(a=(8, 16)))


def test_a_picture_of_noise_is_small_enough_for_a_dozen() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 640, 640), dtype=np.uint8)
    content = jpeg(noise, (640, 640))
    assert content.startswith(text_gallery._JPEG)
    assert len(content) * MOST_PICTURES <= MOST_BYTES
