"""Readers of annotations and detections of text: every form, and every fault with file and line."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from evoray.data.parts import annotations
from evoray.data.parts.annotations import plain_json, read_annotations
from evoray.data.parts.annotations.parts.detections import read_detections
from evoray.data.parts.annotations.parts.members import members
from evoray.data.parts.annotations.parts.partners import partners
from objectives.parts.text.regions import Detection, ImageRegions
from tests.shared_data import real_data

QUAD = "10,5,60,8,58,20,9,18"
HEXAGON = "10,5,30,4,60,8,58,20,30,18,9,18"
LINE = ",".join(str(number) for number in range(28))


def folder(place: Path, **files: str | bytes) -> Path:
    place.mkdir(exist_ok=True)
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (place / name.replace("__", ".")).write_bytes(data)
    return place


def zipped(place: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(place, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return place


def matlab(**values: Any) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, values)
    return buffer.getvalue()


def cells(*rows: list[Any]) -> np.ndarray:
    table = np.empty((len(rows), 6), dtype=object)
    for number, row in enumerate(rows):
        for column, value in enumerate(row):
            table[number, column] = value
    return table


def test_icdar_files_with_bom_and_crlf_and_commas_in_the_text(tmp_path: Path) -> None:
    content = f"\ufeff{QUAD},$5,000\r\n{QUAD},###\r\n\r\n{QUAD},1984\r\n{QUAD},\r\n"
    found = read_annotations(folder(tmp_path / "gt", gt_img_7__txt=content))
    assert [image.image for image in found] == ["img_7"]
    assert [region.text for region in found[0].regions] == ["$5,000", "###", "1984", ""]
    assert [region.ignored for region in found[0].regions] == [False, True, False, False]
    assert found[0].regions[0].polygon.tolist() == [[10, 5], [60, 8], [58, 20], [9, 18]]


def test_a_line_separator_of_unicode_in_a_text_ends_no_line(tmp_path: Path) -> None:
    found = read_annotations(folder(tmp_path / "gt", gt_img_7__txt=f"{QUAD},a\u2028b\x85c\n"))
    assert [region.text for region in found[0].regions] == ["a\u2028b\x85c"]


def test_lines_of_any_number_of_corners(tmp_path: Path) -> None:
    content = (
        f"{QUAD},word\n{HEXAGON},5,000\n{HEXAGON},nan\n3,4,###\n{HEXAGON},a, 7\n{HEXAGON},55\n"
    )
    (image,) = read_annotations(folder(tmp_path / "gt", poly_gt_img3__txt=content))
    assert image.image == "img3"
    assert [(len(r.polygon), r.text) for r in image.regions] == [
        (4, "word"),
        (6, "5,000"),
        (6, "nan"),
        (6, "a, 7"),
        (6, "55"),
    ]


def test_every_form_of_ctw1500_in_text(tmp_path: Path) -> None:
    box = "100,200,140,230"
    for number, (content, corner, text, ignored) in enumerate(
        [
            (f"{box},{LINE}", [102, 203], "", False),
            (f"{LINE},####HELLO, YOU", [2, 3], "HELLO, YOU", False),
            (f"{LINE},#######", [2, 3], "###", True),
            (f"{LINE},CARE", [2, 3], "", False),
            (f"{LINE},###", [2, 3], "###", True),
        ]
    ):
        place = folder(tmp_path / str(number), **{"1001__txt": content})
        (image,) = read_annotations(place)
        assert image.image == "1001"
        (region,) = image.regions
        assert region.polygon.shape == (14, 2)
        assert region.polygon[1].tolist() == corner
        assert (region.text, region.ignored) == (text, ignored)


def test_ctw1500_in_xml(tmp_path: Path) -> None:
    box = (
        "<box height='2' left='0' top='1' width='3'><label>a &amp; b</label>"
        f"<segs>{LINE}</segs><pts x='1' y='2'/></box>"
    )
    text = f"<Annotations><image file='0001.jpg'>{box}{box}</image></Annotations>"
    (image,) = read_annotations(folder(tmp_path / "gt", **{"0001__xml": text}))
    assert image.image == "0001"
    assert [region.text for region in image.regions] == ["a & b", "a & b"]
    assert image.regions[0].polygon[13].tolist() == [26, 27]


def test_total_text_in_both_matlab_layouts(tmp_path: Path) -> None:
    x, y = np.array([[1, 9, 9, 1]], dtype=np.int16), np.array([[2, 2, 7, 7]], dtype=np.int16)
    rows = cells(
        ["x:", x, "y:", y, "word", "c"],
        ["x:", x, "y:", y, "#", "#"],
        ["x:", x[:, :1], "y:", y[:, :1], "#", "#"],
        ["x:", x, "y:", y, "empty", np.empty(0)],
    )
    columns = cells(["x:", x.T, "y:", y.T, "other", "h"])
    place = folder(
        tmp_path / "gt",
        poly_gt_img1__mat=matlab(polygt=rows),
        poly_gt_img2__mat=matlab(gt=columns),
    )
    first, second = read_annotations(place)
    assert [(r.text, r.ignored) for r in first.regions] == [
        ("word", False),
        ("#", True),
        ("empty", False),
    ]
    assert second.regions[0].text == "other"
    assert first.regions[0].polygon.tolist() == second.regions[0].polygon.tolist()
    assert first.regions[0].polygon.tolist() == [[1, 2], [9, 2], [9, 7], [1, 7]]


def test_total_text_in_text_records_that_wrap(tmp_path: Path) -> None:
    content = (
        "x: [[259 313\n 389 259]], y: [[542 462\n 417 500]], ornt: [u'c'], "
        "transcriptions: [u'PAUL']\n"
        "x: [[1 5 5]], y: [[1 1 5]], ornt: [u'#'], transcriptions: [u'#']\n"
        "x: [[1 5 5]], y: [[1 1 5]], ornt: [u'h'], transcriptions: [u\"it's, [so]\"]\n"
        "x: [[1]], y: [[1]], ornt: [u'#'], transcriptions: [u'#']\n"
        "x: [[1 5 5]], y: [[1 1 5]], ornt: [], transcriptions: [u'#']\n"
    )
    (image,) = read_annotations(folder(tmp_path / "gt", poly_gt_img1__txt=content))
    assert [(r.text, r.ignored) for r in image.regions] == [
        ("PAUL", False),
        ("#", True),
        ("it's, [so]", False),
        ("#", True),
    ]
    assert image.regions[0].polygon[2].tolist() == [389, 417]


def test_synthtext(tmp_path: Path) -> None:
    def column(*values: Any) -> np.ndarray:
        row = np.empty((1, len(values)), dtype=object)
        for place, value in enumerate(values):
            row[0, place] = value
        return row

    corners = np.arange(8.0).reshape(2, 4)
    stored = {
        "imnames": column("8/a_1.jpg", "8/b_2.jpg"),
        "wordBB": column(np.stack([corners, corners + 100, corners - 50], axis=2), corners),
        "txt": column(np.array(["two words", "third\n"]), np.array(["one"])),
    }
    place = tmp_path / "gt.mat"
    place.write_bytes(matlab(**stored))
    first, second = read_annotations(place)
    assert (first.image, second.image) == ("8/a_1.jpg", "8/b_2.jpg")
    assert [region.text for region in first.regions] == ["two", "words", "third"]
    assert first.regions[1].polygon[3].tolist() == [103, 107]
    assert second.regions[0].polygon.tolist() == [[0, 4], [1, 5], [2, 6], [3, 7]]
    stored["txt"] = column(np.array(["two words"]), np.array(["one"]))
    place.write_bytes(matlab(**stored))
    with pytest.raises(ValueError, match=r"gt.mat, 8/a_1.jpg: wordBB needs .* n = 2 words"):
        read_annotations(place)


def test_our_json_goes_there_and_back(tmp_path: Path) -> None:
    polygon = np.array([[1.25, 2], [9, 2], [9, 7.5]])
    found = {"img_1.jpg": [Detection(polygon, 0.5)], "img_2.jpg": []}
    place = tmp_path / "found.json"
    place.write_text(plain_json.detections_text(found), encoding="utf-8")
    again = read_detections(place)
    assert list(again) == list(found)
    assert again["img_1.jpg"][0].score == 0.5
    np.testing.assert_array_equal(again["img_1.jpg"][0].polygon, polygon)
    (first, second) = read_annotations(place)
    assert len(first.regions) == 1
    assert second.regions == ()


def test_a_zip_reads_as_the_folder_that_it_holds(tmp_path: Path) -> None:
    content = f"{QUAD},word\n".encode()
    files = {"gt/gt_img_1.txt": content, "__MACOSX/gt/._gt_img_1.txt": b"\x00", "gt/.DS_Store": b""}
    (image,) = read_annotations(zipped(tmp_path / "gt.zip", files))
    assert (image.image, image.regions[0].text) == ("img_1", "word")
    broken = zipped(tmp_path / "broken.zip", {"gt_img_1.txt": b"1,2,3,x,5,6,7,8,word"})
    with pytest.raises(ValueError, match=r"broken.zip/gt_img_1.txt, line 1: field 4 .* got 'x'"):
        read_annotations(broken, "icdar2015")


def test_images_without_text_are_empty_files(tmp_path: Path) -> None:
    place = folder(tmp_path / "gt", gt_img_1__txt="", gt_img_2__txt="\r\n")
    assert [image.regions for image in read_annotations(place)] == [(), ()]


@pytest.mark.parametrize(
    ("form", "content", "words"),
    [
        ("icdar2015", f"{QUAD},a\n1,2,3,4,5,6,7,word", "line 2: ICDAR 2015 has 8 coordinates"),
        ("icdar2015", "1,2,3,4,5,6,7,word,more", "line 1: field 8 .* got 'word'"),
        ("icdar2015", "1,2,3,4,5,nan,7,8,word", "line 1: field 6 .* got 'nan'"),
        ("polygons", f"{HEXAGON},a\n\n1,2,3,4,5,6,7,word", "line 3: corners need x and y each"),
        ("polygons", "word", "line 1: corners need x and y each"),
        ("polygons", "1,2,3,4,word", "line 1: a polygon needs at least 3 corners, got 2"),
        ("ctw1500", f"{LINE},CARE\n1,2,3,CARE", "line 2: CTW1500 has 28 coordinates"),
        ("ctw1500", f"x,{LINE}", "line 1: field 1 .* got 'x'"),
        (
            "total_text",
            "x: [[1 2 3]], y: [[1 2]], ornt: [u'c'], transcriptions: [u'a']",
            "3 x and 2",
        ),
        (
            "total_text",
            "x: [[1 2 ...]], y: [[1]], ornt: [u'c'], transcriptions: [u'']",
            "line 1: fi",
        ),
        ("total_text", "x: [[1 2 3]], y: [[1 2 3]], ornt: [u'c']", "line 1: a record needs"),
        ("total_text", "x: [[1 2]], y: [[1 2]], ornt: [u'c'], transcriptions: [u'a']", "3 corners"),
        ("total_text", QUAD, "line 1: a record needs to begin"),
        ("icdar2015", b"\xff\xfe1\x002\x00", "line 1: it needs to be UTF-8"),
    ],
)
def test_faults_name_the_file_and_the_line(
    tmp_path: Path, form: str, content: str | bytes, words: str
) -> None:
    place = folder(tmp_path / "gt", gt_img_9__txt=content)
    with pytest.raises(ValueError, match=f"gt_img_9.txt.*{words}"):
        read_annotations(place, form)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("<a><box><segs>1,2</segs></box></a>", "box 1: its segs need 28 coordinates, got 2"),
        ("<a>\n<box>", "line 2: no XML"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;<segs/></a>", "no declarations"),
    ],
)
def test_faults_of_xml_are_named(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"1.xml.*{words}"):
        read_annotations(folder(tmp_path / "gt", **{"1__xml": content}), "ctw1500")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no matlab", "no MATLAB file"),
        (matlab(other=1), "needs a variable polygt or gt, got other"),
        (matlab(gt=np.ones((2, 3))), r"needs 6 columns of cells, got the shape \(2, 3\)"),
        (
            matlab(gt=cells(["x:", [1, 2, 3], "y:", [1, 2], "a", "c"])),
            "row 1: corners need x and y each, got 3 x and 2 y",
        ),
    ],
)
def test_faults_of_matlab_files_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=f"img1.mat.*{words}"):
        read_annotations(folder(tmp_path / "gt", img1__mat=content), "total_text")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{\n  broken", "line 2: no JSON"),
        ("[]", "needs to be an object, got list"),
        ({"images": 3}, "'images' is missing or of another kind, 3"),
        ({"images": [3]}, r"images\[0\] needs to be an object"),
        ({"images": [{"instances": []}]}, r"images\[0\]: 'image' is missing"),
        ({"images": [{"image": "a", "instances": [{}]}]}, r"instances\[0\]: 'polygon' is missing"),
        ([[1, 2], [3, 4]], "at least 3 corners, got 2"),
        ([1, 2, 3, 4, 5, 6, 7], "an odd number of coordinates, 7"),
        ([[1, 2], [3, 4], [5]], r"a corner needs x and y, got \[5\]"),
        ([[1, 2], [3, 4], [5, "6"]], "needs to be a number, got '6'"),
        ([[1, 2], [3, 4], [5, float("nan")]], "needs to lie within 1e\\+09 pixels, got nan"),
        ([[1, 2], [3, 4], [5, 10**400]], "needs to lie within .* got 1000000"),
        ([[1, 2], [3, 4], [5, True]], "needs to be a number, got True"),
    ],
)
def test_faults_of_our_json_name_the_place(tmp_path: Path, document: Any, words: str) -> None:
    if isinstance(document, list):
        instances = [{"polygon": document}]
        document = {"images": [{"image": "a", "instances": instances}]}
    place = tmp_path / "set.json"
    text = document if isinstance(document, str) else json.dumps(document)
    place.write_text(text, encoding="utf-8")
    for read in (lambda path: read_annotations(path, "plain_json"), read_detections):
        with pytest.raises(ValueError, match=f"set.json.*{words}"):
            read(place)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("1,2,3,4,5,6\n1,2,3,4,5,6,7", "line 2: .* odd number of coordinates, 7"),
        ("1,2,3,4,5,6,word", "line 1: field 7 .* got 'word'"),
        ("1,2,3,4", "line 1: a polygon needs at least 3 corners, got 2"),
        ("1,2,3,4,5,1e999", "line 1: a coordinate needs to lie within .* got inf"),
    ],
)
def test_faults_of_detections_name_the_line(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"res_img_1.txt, {words}"):
        read_detections(folder(tmp_path / "found", res_img_1__txt=content))


def test_detections_with_spaces_and_of_no_text(tmp_path: Path) -> None:
    found = read_detections(
        folder(tmp_path / "found", res_img_1__txt="659, 93, 616, -3.5, 616, 72\r\n", img_2__txt="")
    )
    assert found["img_1"][0].polygon.tolist() == [[659, 93], [616, -3.5], [616, 72]]
    assert found["img_2"] == []


def test_a_place_that_holds_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        members(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no file that ends in"):
        members(tmp_path)
    (tmp_path / "set.zip").write_bytes(b"PK no archive")
    with pytest.raises(ValueError, match="no zip archive, or a damaged one"):
        members(tmp_path / "set.zip")
    (tmp_path / "set.csv").write_bytes(b"1,2")
    with pytest.raises(ValueError, match="needs to be a folder, a zip archive, or a file"):
        members(tmp_path / "set.csv")
    with pytest.raises(ValueError, match=r"several kinds, .mat and .txt"):
        members(folder(tmp_path / "gt", a__txt="", b__mat=b""))


def test_a_truncated_archive_is_named(tmp_path: Path) -> None:
    place = zipped(tmp_path / "gt.zip", {f"gt_img_{k}.txt": b"x" * 999 for k in range(9)})
    content = bytearray(place.read_bytes())
    content[60:90] = b"\xff" * 30
    place.write_bytes(content)
    with pytest.raises(ValueError, match=r"gt.zip is no archive that can be read"):
        members(place)


def test_a_form_that_is_not_there_or_cannot_be_told_is_named(tmp_path: Path) -> None:
    place = folder(tmp_path / "gt", a__txt="some words")
    with pytest.raises(ValueError, match=r"no form of annotations 'icdar'; .*icdar2015"):
        read_annotations(place, "icdar")
    with pytest.raises(ValueError, match="no form fits, name one: ctw1500, icdar2015"):
        read_annotations(place)
    detections = folder(tmp_path / "found", a__txt=f"{QUAD}\n{HEXAGON}")
    with pytest.raises(ValueError, match="no form fits"):
        read_annotations(detections)


def test_partners_are_found_by_name_and_a_missing_one_is_told_with_its_side() -> None:
    truth = [ImageRegions("a/img_1.jpg"), ImageRegions("gt_img_2")]
    found: dict[str, list[Detection]] = {"res_img_1.txt": [], "img_2": []}
    images, detections = partners(truth, found)
    assert {image.image for image in images} == set(detections) == {"img_1", "img_2"}
    dotted = [ImageRegions("a.b"), ImageRegions("a.c.JPG")]
    assert set(partners(dotted, {"a.b": [], "a.c": []})[1]) == {"a.b", "a.c"}
    with pytest.raises(ValueError, match="1 images have no detections: gt_img_2"):
        partners(truth, {"img_1": []})
    assert set(partners(truth, {"img_1": []}, missing_is_empty=True)[1]) == {"img_1"}
    with pytest.raises(ValueError, match="1 images have no annotations: img_2"):
        partners(truth[:1], found, missing_is_empty=True)
    with pytest.raises(ValueError, match="annotations: 'gt_1' and '1' are both of the image '1'"):
        partners([ImageRegions("gt_1"), ImageRegions("1")], {})


def test_two_files_of_detections_of_one_image_are_refused(tmp_path: Path) -> None:
    place = folder(tmp_path / "found", res_img_1__txt="", img_1__txt="")
    with pytest.raises(ValueError, match="a second file of detections of the image 'img_1'"):
        read_detections(place)


def test_each_real_set_is_recognised() -> None:
    sample = real_data("text_sample")
    fixtures, notes = sample / "eval_fixtures", sample / "annotations"
    for path, images, regions, ignored in [
        (fixtures / "icdar2015_test_gt.zip", 500, 5230, 3153),
        (fixtures / "totaltext_test_gt.zip", 300, 2545, 331),
        (fixtures / "research_only" / "ctw1500_test_gt.zip", 500, 3075, 0),
        (fixtures / "research_only" / "ctw1500_test_gt_with_ignore.zip", 500, 3075, 387),
        (sample / "annotations.json", 12, 90, 61),
        (notes / "icdar2015_mmocr_textdet_test.json", 10, 82, 61),
        (notes / "totaltext_mat", 6, None, None),
    ]:
        found = read_annotations(path)
        all_regions = [region for image in found for region in image.regions]
        assert len(found) == images, path
        if regions is not None:
            assert len(all_regions) == regions, path
            assert sum(region.ignored for region in all_regions) == ignored, path


def test_both_matlab_layouts_of_a_real_image_show_the_same_words() -> None:
    notes = real_data("text_sample") / "annotations" / "totaltext_mat"
    (first,) = read_annotations(notes / "poly_gt_img3.mat")
    (second,) = read_annotations(notes / "t3tool_gt_img3.mat")
    assert [r.text.lower()[:3] for r in first.regions][:2] == ["kel", "nau"]
    for one, other in zip(first.regions, second.regions, strict=False):
        assert np.abs(one.polygon.mean(axis=0) - other.polygon.mean(axis=0)).max() < 25


def test_every_form_is_listed() -> None:
    assert annotations.names() == [
        "ctw1500",
        "icdar2015",
        "mmocr_json",
        "plain_json",
        "polygons",
        "synthtext",
        "total_text",
    ]
    assert not annotations.REGISTRY.faults()
