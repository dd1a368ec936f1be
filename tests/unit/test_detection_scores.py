"""Protocols that score text detection, on sets small enough to count by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from objectives.detection import GroundTruth, protocols, score, summary
from objectives.parts.text.regions import Detection, ImageRegions, TextRegion

ALL = [*protocols.names(), "deteval:0.8,0.4", "f:0.7", "f:0.3"]
WITH_DONT_CARE = [name for name in ALL if name != "ctw1500_original"]


def rectangle(x: float, y: float, width: float, height: float) -> np.ndarray:
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], dtype=float)


WORDS = [rectangle(0, 0, 100, 20), rectangle(0, 40, 100, 20), rectangle(200, 0, 50, 10)]


def annotated(*polygons: np.ndarray, ignored: Sequence[int] = (), image: str = "a") -> ImageRegions:
    return ImageRegions(
        image,
        tuple(TextRegion(one, ignored=place in ignored) for place, one in enumerate(polygons)),
    )


def detected(*polygons: np.ndarray) -> list[Detection]:
    return [Detection(one) for one in polygons]


def counts(
    truth: Sequence[ImageRegions], found: Mapping[str, Sequence[Detection]], protocol: str
) -> tuple[float, float]:
    scores = score(truth, found, protocol)
    return scores.recall, scores.precision


@pytest.mark.parametrize("protocol", ALL)
def test_annotations_scored_against_themselves_are_perfect(protocol: str) -> None:
    scores = score([annotated(*WORDS)], {"a": detected(*WORDS)}, protocol)
    assert (scores.recall, scores.precision, scores.hmean) == (1.0, 1.0, 1.0)
    assert scores.protocol == protocol
    assert scores.counts["truth"] == scores.counts["found"] == 3


@pytest.mark.parametrize("protocol", ALL)
@pytest.mark.parametrize("found", [{}, {"a": []}], ids=["no image", "no detection"])
def test_nothing_found_is_zero(protocol: str, found: Mapping[str, Sequence[Detection]]) -> None:
    scores = score([annotated(*WORDS)], found, protocol)
    assert (scores.recall, scores.precision, scores.hmean) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("protocol", ALL)
def test_images_without_text_count_what_was_found_there_as_wrong(protocol: str) -> None:
    truth = [annotated(image="a"), annotated(*WORDS, image="b")]
    found = {"a": detected(WORDS[0]), "b": detected(*WORDS)}
    scores = score(truth, found, protocol)
    assert scores.precision == pytest.approx(3 / 4)
    assert scores.images["a"].recall == 1.0
    assert scores.images["a"].precision == scores.images["a"].hmean == 0.0
    assert score([annotated()], {}, protocol).images["a"].precision == 1.0


@pytest.mark.parametrize("protocol", WITH_DONT_CARE)
def test_what_is_found_in_a_dont_care_region_is_neither_right_nor_wrong(protocol: str) -> None:
    truth = [annotated(*WORDS, ignored=[1])]
    without = score(truth, {"a": detected(WORDS[0])}, protocol)
    with_it = score(truth, {"a": detected(WORDS[0], WORDS[1])}, protocol)
    assert (with_it.recall, with_it.precision) == (without.recall, without.precision)
    assert with_it.counts["truth_ignored"] == with_it.counts["found_ignored"] == 1


@pytest.mark.parametrize("protocol", WITH_DONT_CARE)
def test_regions_that_are_all_dont_care_give_zero_without_an_error(protocol: str) -> None:
    truth = [annotated(*WORDS, ignored=[0, 1, 2])]
    scores = score(truth, {"a": detected(*WORDS)}, protocol)
    assert (scores.recall, scores.precision, scores.hmean) == (0.0, 0.0, 0.0)
    assert (scores.counts["truth"], scores.counts["found"]) == (0, 0)
    assert scores.images["a"].hmean == 1.0


def test_exactly_half_is_no_match_and_exactly_half_in_dont_care_is_not_left_out() -> None:
    half = rectangle(0, 0, 50, 20)
    assert counts([annotated(WORDS[0])], {"a": detected(half)}, "icdar2015") == (0.0, 0.0)
    wider = rectangle(0, 0, 50.001, 20)
    assert counts([annotated(WORDS[0])], {"a": detected(wider)}, "icdar2015") == (1.0, 1.0)
    truth = [annotated(WORDS[0], ignored=[0])]
    beside = rectangle(50, 0, 100, 20)
    assert score(truth, {"a": detected(beside)}, "icdar2015").counts["found_ignored"] == 0
    more = rectangle(49.9, 0, 100, 20)
    assert score(truth, {"a": detected(more)}, "icdar2015").counts["found_ignored"] == 1


def test_a_duplicate_is_wrong_and_a_refused_polygon_counts_as_one_that_matches_nothing() -> None:
    truth = [annotated(WORDS[0])]
    line, crossing = WORDS[0][:2], WORDS[0][[0, 2, 1, 3]]
    for other in (WORDS[0], line, crossing):
        assert counts(truth, {"a": detected(WORDS[0], other)}, "icdar2015") == (1.0, 0.5)
    assert counts([annotated(WORDS[0], line)], {"a": detected(WORDS[0])}, "f_mean") == (0.5, 1.0)


def test_first_come_first_served_from_half_on_and_the_most_matches_below() -> None:
    # The first region takes the detection that alone fits the second, if files decide.
    truth = [annotated(rectangle(0, 0, 100, 10), rectangle(60, 0, 100, 10))]
    found = {"a": detected(rectangle(30, 0, 100, 10), rectangle(-50, 0, 100, 10))}
    assert counts(truth, found, "f:0.3") == (1.0, 1.0)
    assert score(truth, found, "icdar2015").counts["matches"] == 1


def test_the_mean_f_is_of_nine_thresholds_and_none_below_half() -> None:
    # IoU .72 passes .5, .55, .6, .65 and .7.
    scores = score([annotated(WORDS[0])], {"a": detected(rectangle(0, 0, 72, 20))}, "f_mean")
    assert scores.hmean == pytest.approx(5 / 9)
    assert scores.images["a"].hmean == pytest.approx(5 / 9)
    assert len([name for name in scores.counts if name.startswith("matches@")]) == 9


def test_the_tight_score_takes_off_what_is_cut_and_what_belongs_to_others() -> None:
    cut = score([annotated(WORDS[0])], {"a": detected(rectangle(0, 0, 80, 20))}, "tiou")
    assert cut.recall == pytest.approx(0.8 * 0.8)
    assert cut.precision == pytest.approx(0.8)
    # 100 x 24 over a word of 100 x 20, the last row of 4 is half another's: 50 * 4 of 2400 lost.
    truth = [annotated(WORDS[0], rectangle(0, 20, 50, 20), rectangle(0, 10, 50, 15))]
    wide = score(truth, {"a": detected(rectangle(0, 0, 100, 24))}, "tiou")
    iou = 20 / 24
    assert wide.recall == pytest.approx(iou / 3)
    assert wide.precision == pytest.approx(iou * (1 - 200 / 2400))


def test_deteval_credits_splits_and_merges() -> None:
    halves = [rectangle(0, 0, 50, 20), rectangle(50, 0, 50, 20)]
    split = score([annotated(WORDS[0])], {"a": detected(*halves)}, "deteval")
    assert (split.recall, split.precision) == (pytest.approx(0.8), pytest.approx(0.8))
    assert split.counts["one_to_many"] == 1
    merged = score([annotated(*halves)], {"a": detected(WORDS[0])}, "deteval")
    assert (merged.recall, merged.precision) == (pytest.approx(0.8), pytest.approx(0.8))
    assert merged.counts["many_to_one"] == 1


def test_deteval_takes_another_pair_of_thresholds() -> None:
    truth = [annotated(WORDS[0])]
    tall = {"a": detected(rectangle(0, 0, 100, 40))}
    assert score(truth, tall, "deteval").hmean == 0.0
    assert score(truth, tall, "deteval:0.8,0.4").hmean == 1.0


def test_the_original_ctw1500_passes_over_crossing_output_and_pascal_does_not() -> None:
    looped = np.array([[0, 0], [60, 0], [60, 30], [40, -10], [0, 30]], dtype=float) + 500
    truth, found = [annotated(WORDS[0])], {"a": detected(WORDS[0], looped)}
    assert counts(truth, found, "ctw1500_original") == (1.0, 1.0)
    assert counts(truth, found, "ctw1500") == (1.0, 0.5)
    assert counts(truth, found, "pascal") == (1.0, 0.5)
    with pytest.raises(ValueError, match="knows no don't-care regions, the ground truth has 1"):
        score([annotated(*WORDS, ignored=[0])], found, "ctw1500_original")


def test_pascal_gives_a_detection_no_second_choice() -> None:
    truth = [annotated(rectangle(0, 0, 100, 100), rectangle(0, 0, 100, 90))]
    found = {"a": detected(rectangle(0, 0, 100, 99), rectangle(0, 0, 100, 98))}
    assert counts(truth, found, "pascal") == (0.5, 0.5)
    assert counts(truth, found, "icdar2015") == (1.0, 1.0)


def test_one_look_gives_what_the_protocols_give() -> None:
    truth = [annotated(*WORDS, ignored=[2]), annotated(*WORDS, image="b")]
    found = {"a": detected(WORDS[0] + 2, WORDS[1]), "b": detected(WORDS[0], WORDS[2] + 1)}
    seen = summary(GroundTruth.of(truth), found)
    at_half = score(truth, found, "icdar2015")
    assert (seen.f50, seen.recall, seen.precision) == (
        at_half.hmean,
        at_half.recall,
        at_half.precision,
    )
    assert seen.f70 == score(truth, found, "f:0.7").hmean
    assert seen.f_mean == score(truth, found, "f_mean").hmean
    assert seen.tiou == score(truth, found, "tiou").hmean
    assert seen.truth_digest == at_half.truth_digest


def test_the_digest_is_of_geometry_and_flags_and_not_of_the_order_of_images() -> None:
    one, other = annotated(WORDS[0]), annotated(WORDS[1], image="b")
    digest = GroundTruth.of([one, other]).digest
    assert len(digest) == 64
    assert GroundTruth.of([other, one]).digest == digest
    named = ImageRegions("a", (TextRegion(WORDS[0], text="word"),))
    assert GroundTruth.of([named, other]).digest == digest
    assert GroundTruth.of([annotated(WORDS[0] + 1), other]).digest != digest
    assert GroundTruth.of([annotated(WORDS[0], ignored=[0]), other]).digest != digest


def test_what_cannot_be_scored_is_named() -> None:
    with pytest.raises(ValueError, match="needs images with annotations, got none"):
        score([], {}, "icdar2015")
    with pytest.raises(ValueError, match="more than once: a"):
        score([annotated(), annotated()], {}, "icdar2015")
    with pytest.raises(ValueError, match="1 images have detections and no annotations: b"):
        score([annotated()], {"b": []}, "icdar2015")


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        ("icdar2016", "no protocol 'icdar2016'.*icdar2015"),
        ("icdar2015:0.7", "icdar2015 takes no thresholds, got '0.7'"),
        ("f:tight", "after the colon stand numbers"),
        ("f:1.5", "at least 0 and below 1, got 1.5"),
        ("f:nan", "at least 0 and below 1, got nan"),
        ("deteval:0.7", "takes 2 thresholds, recall, precision, got '0.7'"),
        ("deteval:0.7,1.2", "thresholds between 0 and 1, got 0.7 and 1.2"),
    ],
)
def test_a_wrong_protocol_is_named(protocol: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        score([annotated(*WORDS)], {}, protocol)
