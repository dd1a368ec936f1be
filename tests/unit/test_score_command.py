"""`evoray score`, and the figures that published scripts print on real detections."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from evoray.data.parts.annotations import read_annotations
from evoray.data.parts.annotations.parts.detections import read_detections
from evoray.data.parts.annotations.parts.partners import partners
from jobs.cli import main
from objectives.detection import GroundTruth, prepared, score
from objectives.detection.overlaps import Overlaps
from objectives.detection.protocols import load
from objectives.detection.scores import summed
from tests.shared_data import real_data

TOTAL_TEXT = ("totaltext_textperceptron", "gt")
CTW1500 = ("ctw1500_textperceptron", "gt")
IGNORING = ("ctw1500_textperceptron", "gt_with_ignore")
ICDAR = ("icdar2015_pixellink", "gt")


def fixtures() -> tuple[Path, dict[str, Any]]:
    place = real_data("text_sample") / "eval_fixtures"
    return place, json.loads((place / "oracles.json").read_text(encoding="utf-8"))


@lru_cache
def overlaps_of(pair: tuple[str, str]) -> Overlaps:
    place, oracles = fixtures()
    of = oracles[pair[0]]
    truth, found = partners(
        read_annotations(place / of[pair[1]]), read_detections(place / of["det"])
    )
    return prepared(GroundTruth.of(truth), found)


@pytest.mark.parametrize(
    ("pair", "row", "protocol"),
    [
        (TOTAL_TEXT, "iou50_icdar", "icdar2015"),
        (TOTAL_TEXT, "pascal_voc_totaltext", "pascal"),
        (TOTAL_TEXT, "deteval_tr07_tp06", "deteval"),
        (TOTAL_TEXT, "deteval_tr08_tp04", "deteval:0.8,0.4"),
        (CTW1500, "iou50", "ctw1500"),
        (CTW1500, "iou50", "icdar2015"),
        (IGNORING, "iou50_with_ignore", "ctw1500"),
        (ICDAR, "iou50_icdar", "icdar2015"),
    ],
)
def test_the_figures_of_the_published_scripts(
    pair: tuple[str, str], row: str, protocol: str
) -> None:
    expected = fixtures()[1][pair[0]][row]
    those = overlaps_of(pair)
    scores = summed(load(protocol)(those), those, protocol)
    # Printed with four decimals by some scripts, with all by others.
    digits = 4 if expected["recall"] == round(expected["recall"], 4) else 6
    assert round(scores.recall, digits) == round(expected["recall"], digits)
    if pair == IGNORING:
        # One detection less is taken out by the script's own cutting: 2616 count there, 2615 here.
        assert scores.counts["found"] == expected["det_care"] - 1
        assert scores.hmean == pytest.approx(expected["hmean"], abs=1.5e-4)
    else:
        assert round(scores.precision, digits) == round(expected["precision"], digits)
        assert round(scores.hmean, digits) == round(expected["hmean"], digits)
        found = expected.get("det_care", expected.get("det_after_filter"))
        assert scores.counts["found"] == (found or scores.counts["found"])
    for kind in ("matches", "one_to_one", "one_to_many", "many_to_one"):
        if kind in expected:
            assert scores.counts[kind] == expected[kind]


def alike(overlaps: Overlaps, row: str) -> bool:
    """True where ICDAR 2015's protocol gives a row of Total-Text's oracles."""
    scores = summed(load("icdar2015")(overlaps), overlaps, "icdar2015")
    expected = fixtures()[1][TOTAL_TEXT[0]][row]
    values = {name: round(getattr(scores, name), 4) for name in ("recall", "precision", "hmean")}
    counts = {"matches": scores.counts["matches"], "det_care": scores.counts["found"]}
    return {"source": "project", **values, **counts} == expected


def test_other_rules_for_rings_that_cross_themselves_give_their_own_figures() -> None:
    those = overlaps_of(TOTAL_TEXT)
    cut = replace(those, found=replace(those.found), shared=those.shared_by("buffer"))
    cut.found.__dict__["areas"] = those.found.areas_by("buffer")  # in the place of the ring's own
    assert alike(cut, "iou50_shapely_buffer0")
    simple = those.found.simple[those.j]
    empty = replace(those, i=those.i[simple], j=those.j[simple], shared=those.shared[simple])
    assert alike(empty, "iou50_invalid_as_empty")
    assert not alike(those, "iou50_invalid_as_empty")


def test_the_counts_of_the_real_sets() -> None:
    _, oracles = fixtures()
    for pair in (TOTAL_TEXT, CTW1500, ICDAR):
        those, expected = overlaps_of(pair), oracles[pair[0]]
        assert len(those.truth.images) == expected["images"]
        assert (~those.truth.ignored).sum() == expected["gt_care"]
        assert len(those.found) == expected["det_total"]
        assert (~those.found.simple).sum() == expected.get("invalid_det_polygons", 0)


def test_greedy_and_optimal_matching_agree_at_half_on_real_detections() -> None:
    for pair in (TOTAL_TEXT, CTW1500, ICDAR):
        those = overlaps_of(pair)
        most = load("f:0.4999999")(those).kinds["matches"]
        assert most == load("icdar2015")(those).kinds["matches"]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two images, three regions of which one is "don't care", two found, one of them wrong."""
    truth, found = tmp_path / "gt", tmp_path / "found"
    truth.mkdir()
    found.mkdir()
    (truth / "gt_img_1.txt").write_bytes(b"0,0,9,0,9,5,0,5,a\n20,0,29,0,29,5,20,5,###\n")
    (truth / "gt_img_2.txt").write_bytes(b"0,0,9,0,9,5,0,5,b\n")
    (found / "res_img_1.txt").write_bytes(b"0,0,9,0,9,5,0,5\n20,0,29,0,29,5,20,5\n")
    (found / "res_img_2.txt").write_bytes(b"40,0,49,0,49,5,40,5\n")
    return truth, found


def test_the_command_prints_the_score_the_protocol_and_the_digest(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["score", str(pair[0]), str(pair[1])])
    printed = capsys.readouterr().out
    assert "protocol icdar2015" in printed
    assert printed.split().count("0.5000") == 3
    assert "truth 2, truth_ignored 1, found 2, found_ignored 1, matches 1" in printed
    main(["score", str(pair[0]), str(pair[1]), "--protocol", "tiou", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["protocol"] == "tiou"
    assert document["hmean"] == document["images"]["img_1"]["hmean"] / 2 == 0.5
    assert document["truth_digest"] in printed
    assert document["truth_digest"] == score(read_annotations(pair[0]), {}, "tiou").truth_digest


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--protocol", "icdar"], "no protocol 'icdar'"),
        (["--protocol", "deteval:1"], "deteval takes 2 thresholds"),
        (["--format", "mat"], "no form of annotations 'mat'"),
        (["--format", "ctw1500"], "gt_img_1.txt, line 1: CTW1500 has 28 coordinates"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str], change: list[str], words: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["score", str(pair[0]), str(pair[1]), *change])
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert words in said
    assert said.count("\n") == 1


def test_missing_partners_and_empty_folders_exit_with_2(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth, found = pair
    empty = tmp_path / "empty"
    empty.mkdir()

    def refused(*words: str) -> str:
        with pytest.raises(SystemExit) as stop:
            main(["score", *words])
        assert stop.value.code == 2
        return capsys.readouterr().err

    assert "holds no file" in refused(str(empty), str(found))
    assert "holds no file" in refused(str(truth), str(empty))
    assert "does not exist" in refused(str(truth), str(tmp_path / "nowhere"))
    (found / "res_img_2.txt").unlink()
    assert "1 images have no detections: img_2" in refused(str(truth), str(found))
    main(["score", str(truth), str(found), "--missing-is-empty"])
    assert "found 1," in capsys.readouterr().out
    (truth / "gt_img_1.txt").unlink()
    assert "1 images have no annotations: img_1" in refused(
        str(truth), str(found), "--missing-is-empty"
    )
