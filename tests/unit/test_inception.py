"""IS, FID and KID: known answers, agreement with reference values on trained networks, merging,
caching, mistakes.
"""

from __future__ import annotations

import math
import pickle
import sys
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn

from evoray import data
from objectives.base import MeasurementError
from objectives.inception import GenerativeScores, Inception, Scorer, TrainedClassifier
from objectives.inception.classifier import accuracy, train, write
from objectives.inception.extractors import Features, digest_of
from objectives.inception.frechet import Gaussian, frechet_distance, trace_of_rows, trace_term
from objectives.inception.moments import Moments, moments_of
from objectives.inception.pixels import generated_pixels, pixels_of
from objectives.inception.reference import reference
from objectives.inception.scores import InceptionScore, kernel_distance
from tests.resnet_cifar import ResNetExtractor
from tests.shared_data import real_data

CPU = torch.device("cpu")
DIGITS = data.load("digits", image_size=16)


def rows(count: int, dimension: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, dimension)) @ rng.normal(
        size=(dimension, dimension)
    ) + rng.normal(size=dimension)


@pytest.mark.parametrize("count", [3, 8, 9, 40])
def test_moments_of_batches_and_of_merged_parts_are_those_of_all_rows(count: int) -> None:
    x = rows(count, 16) + 1e4  # a large mean: naive sums of squares would lose digits
    whole = moments_of([x[:2], x[2:]], 16)
    one, other = moments_of([x[: count // 3]], 16), moments_of([x[count // 3 :]], 16)
    one.merge(other)
    for found in (whole, one):
        assert found.count == count
        assert np.allclose(found.mean, x.mean(axis=0), rtol=1e-14)
        assert np.allclose(found.covariance, np.cov(x.T), atol=1e-8)


def test_moments_keep_rows_while_they_are_few_and_then_forget_them() -> None:
    found = Moments(16)
    found.add(rows(8, 16))
    assert found.centred_rows is not None
    found.add(rows(1, 16))
    assert found.centred_rows is None
    assert found.count == 9


def test_moments_refuse_nan_and_other_shapes() -> None:
    with pytest.raises(ValueError, match="NaN or infinite"):
        Moments(2).add(np.array([[1.0, math.nan]]))
    with pytest.raises(ValueError, match=r"shape \(n, 2\)"):
        Moments(2).add(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="cannot join"):
        Moments(2).merge(Moments(3))
    with pytest.raises(ValueError, match="at least 2 images"):
        _ = Moments(2).covariance


def test_moments_that_came_through_an_object_store_go_on() -> None:
    sent = moments_of([rows(40, 6, 1)], 6)
    assert sent._scatter is not None
    sent._scatter.flags.writeable = False  # what Ray hands out is read-only
    sent.merge(moments_of([rows(30, 6, 2)], 6))
    assert np.allclose(sent.covariance, np.cov(np.concatenate([rows(40, 6, 1), rows(30, 6, 2)]).T))


def test_scores_that_came_through_an_object_store_can_be_merged() -> None:
    logits = rows(40, 5, 3)
    whole, first, second = (
        InceptionScore(40, 5, splits=2),
        InceptionScore(40, 5, splits=2),
        InceptionScore(40, 5, splits=2, start=20),
    )
    whole.add(logits)
    first.add(logits[:20])
    second.add(logits[20:])
    for array in (first._entropies, first._sums, first._counts):
        array.flags.writeable = False
    first.merge(second)
    assert first.value() == pytest.approx(whole.value())


def test_the_trace_term_is_that_of_the_matrix_square_root() -> None:
    one, other = np.cov(rows(200, 24, 1).T), np.cov(rows(200, 24, 2).T)
    expected = float(np.trace(scipy.linalg.sqrtm(one @ other)).real)
    assert trace_term(Gaussian(np.zeros(24), one), other) == pytest.approx(expected, rel=1e-9)


def test_few_rows_give_the_same_distance_through_the_small_problem() -> None:
    x = rows(10, 24, 3)
    gaussian = Gaussian(np.zeros(24), np.cov(rows(200, 24, 1).T))
    centred = x - x.mean(axis=0)
    assert trace_of_rows(gaussian, centred) == pytest.approx(
        trace_term(gaussian, np.cov(x.T)), rel=1e-6
    )
    kept = moments_of([x], 24)
    assert kept.centred_rows is not None
    dense = float(
        np.sum(x.mean(axis=0) ** 2)
        + np.trace(gaussian.covariance + np.cov(x.T))
        - 2 * trace_term(gaussian, np.cov(x.T))
    )
    assert frechet_distance(gaussian, kept) == pytest.approx(dense, rel=1e-6)


def test_frechet_distances_with_known_answers() -> None:
    x = rows(500, 12)
    assert frechet_distance(Gaussian.of(moments_of([x], 12)), moments_of([x], 12)) < 1e-3
    shift = np.arange(12) / 10
    assert frechet_distance(
        Gaussian.of(moments_of([x], 12)), moments_of([x + shift], 12)
    ) == pytest.approx(float(shift @ shift), rel=1e-6)
    degenerate = np.tile(x[:1], (50, 1))  # a collapsed generator: covariance 0
    expected = float(np.sum((x.mean(axis=0) - x[0]) ** 2) + np.trace(np.cov(x.T)))
    assert frechet_distance(
        Gaussian.of(moments_of([x], 12)), moments_of([degenerate], 12)
    ) == pytest.approx(expected, rel=1e-9)


def score_of(logits: Any, splits: int) -> tuple[float, float]:
    found = InceptionScore(len(logits), logits.shape[1], splits=splits)
    for start in range(0, len(logits), 7):
        found.add(logits[start : start + 7])
    return found.value()


def test_inception_scores_with_known_answers() -> None:
    sure = 1e3 * np.eye(5)
    assert score_of(np.tile(sure[:1], (10, 1)), 10 // 2) == pytest.approx((1.0, 0.0))
    assert score_of(np.tile(sure, (20, 1)), 10) == pytest.approx((5.0, 0.0))
    assert score_of(np.zeros((20, 5)), 2) == pytest.approx((1.0, 0.0))


def test_inception_scores_of_parts_are_that_of_the_whole_and_gaps_are_noticed() -> None:
    logits = np.random.default_rng(0).normal(size=(53, 6)) * 3
    whole = score_of(logits, 4)
    parts = [InceptionScore(53, 6, splits=4, start=start) for start in (0, 20)]
    parts[0].add(logits[:20])
    parts[1].add(logits[20:])
    with pytest.raises(ValueError, match="need"):
        parts[0].value()
    parts[0].merge(parts[1])
    assert parts[0].value() == pytest.approx(whole, abs=1e-12)
    with pytest.raises(ValueError, match="54 images were given, 53 announced"):
        parts[1].add(logits[:1])


def test_the_kernel_distance_is_the_mean_over_pairs_whatever_the_block() -> None:
    x, y = rows(9, 4, 1), rows(7, 4, 2)

    def kernel(a: Any, b: Any) -> float:
        return float((a @ b / 4 + 1) ** 3)

    within = [
        np.mean([kernel(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j])
        for s in (x, y)
    ]
    expected = within[0] + within[1] - 2 * np.mean([kernel(a, b) for a in x for b in y])
    assert kernel_distance(x, y) == pytest.approx(expected)
    assert kernel_distance(x, y, block=2) == pytest.approx(expected)


def seen_by_resnet56(pixels: Any) -> tuple[Any, Any]:
    """Features and logits."""
    extractor = ResNetExtractor(real_data("cifar10_resnet") / "resnet56-4bfd9763.th", 56)
    found = [extractor.extract(part) for part in torch.split(pixels, 100)]
    return tuple(np.concatenate([f[i].numpy() for f in found]) for i in (0, 1))  # type: ignore[return-value]


def test_inception_scores_of_a_trained_network_agree_with_their_reference_values() -> None:
    """ResNet-56 on 500 real images; the numbers stand in the data's README."""
    source: Any = data.load("cifar10", root=real_data("cifar10_small"))
    pixels, labels = pixels_of(source, source.open("test"))
    _, logits = seen_by_resnet56(pixels)
    assert int((logits.argmax(axis=1) == labels.numpy()).sum()) == 470
    assert score_of(logits, 1)[0] == pytest.approx(9.46772, abs=2e-5)
    assert score_of(logits, 10) == pytest.approx((8.90854, 0.21228), abs=2e-5)


@pytest.mark.slow
def test_distances_of_a_trained_network_agree_with_their_reference_values() -> None:
    """The reference of 2,500 images is "train" and "val", the same set in another order."""
    source: Any = data.load("cifar10", root=real_data("cifar10_small"))
    real = reference(
        source, ResNetExtractor(real_data("cifar10_resnet") / "resnet56-4bfd9763.th", 56)
    )
    assert real.count == 2500
    features, _ = seen_by_resnet56(pixels_of(source, source.open("test"))[0])
    assert frechet_distance(real.gaussian, moments_of([features], 64)) == pytest.approx(
        0.657691, abs=2e-5
    )
    assert kernel_distance(real.rows, features) == pytest.approx(0.0113296, abs=2e-6)


@pytest.mark.slow
def test_scores_of_the_whole_test_set_agree_with_their_reference_values() -> None:
    source: Any = data.load("cifar10", root=real_data("cifar10"))
    features, logits = seen_by_resnet56(pixels_of(source, source.open("test"))[0])
    one, other = features[:5000], features[5000:]
    assert frechet_distance(
        Gaussian.of(moments_of([one], 64)), moments_of([other], 64)
    ) == pytest.approx(0.0735132454924, rel=1e-5)
    assert kernel_distance(one, other) == pytest.approx(-0.00017870, abs=1e-7)
    assert score_of(logits, 10) == pytest.approx((9.46017, 0.05505), abs=2e-5)
    assert score_of(logits, 1)[0] == pytest.approx(9.49998, abs=2e-5)


def test_pixels_come_back_exactly_from_a_normalised_source() -> None:
    from evoray.data.digits import _read

    pixels, labels = pixels_of(DIGITS, DIGITS.open("test"))
    raw, raw_labels = _read(DIGITS, "test")
    assert np.array_equal(pixels.numpy(), raw)
    assert np.array_equal(labels.numpy(), raw_labels)
    assert generated_pixels(torch.tensor([-1.0, 0.0, 0.999, 1.0])).tolist() == [0, 127, 254, 255]


class Thumb:
    """An extractor whose features are a 4 x 4 thumbnail; counts its calls."""

    label, digest, num_features, num_classes = "thumb", "0" * 64, 16, 16

    def __init__(self) -> None:
        self.calls = 0

    def open(self, device: torch.device) -> None:
        """Opens nothing."""

    def extract(self, pixels_bchw: Any) -> Features:
        self.calls += 1
        small = nn.functional.adaptive_avg_pool2d(pixels_bchw.float() / 255, 4).flatten(1)
        return Features(small, 20 * small)


class Noise(nn.Module):
    """A generator of smooth noise."""

    def forward(self, z: Any) -> Any:
        return torch.tanh(nn.functional.interpolate(z.view(-1, 1, 4, 4), size=(16, 16)))


def scorer(**changes: Any) -> Scorer:
    return Scorer(DIGITS, Thumb(), **{"latent": 16, "num_images": 130, "batch_size": 30, **changes})


def test_parts_in_several_processes_make_the_scores_of_one() -> None:
    one = scorer()
    one.open(CPU)
    whole = one.scores(one.part(Noise(), "a"))
    other = pickle.loads(pickle.dumps(one))
    other.open(CPU)
    late, early = (
        pickle.loads(pickle.dumps(other.part(Noise(), "a", batches)))
        for batches in (range(2, 5), range(2))
    )
    late.merge(early)
    merged = one.scores(late)
    assert vars(merged) == pytest.approx(vars(whole), rel=1e-9, abs=1e-9)


def test_worse_images_score_worse() -> None:
    class Flat(nn.Module):
        def forward(self, z: Any) -> Any:
            return torch.zeros(len(z), 1, 16, 16)

    pixels, _ = pixels_of(DIGITS, DIGITS.open("train"))

    class Real(nn.Module):
        def forward(self, z: Any) -> Any:
            return pixels[(z[:, 0].abs() * 1e4).long() % len(pixels)].float() / 127.5 - 1.0

    one = scorer()
    one.open(CPU)
    real, noise, flat = (
        one.scores(one.part(network, "a")) for network in (Real(), Noise(), Flat())
    )
    assert real.frechet < noise.frechet
    assert real.kernel < min(noise.kernel, flat.kernel)
    assert flat.inception_score == pytest.approx(1.0)
    assert flat.frechet > real.frechet


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.full((30, 1, 16, 16), math.nan), "not finite"),
        (torch.zeros(30, 3, 32, 32), r"shape \(3, 32, 32\)"),
    ],
)
def test_a_generator_of_nan_or_of_another_size_is_a_failed_measurement(
    images: Any, message: str
) -> None:
    class Given(nn.Module):
        def forward(self, z: Any) -> Any:
            return images[: len(z)]

    one = scorer()
    one.open(CPU)
    with pytest.raises(MeasurementError, match=f"key7: .*{message}"):
        one.part(Given(), "key7")


def test_too_few_images_are_refused_by_name_or_warned_of() -> None:
    with pytest.raises(ValueError, match="16 generated images are too few for FID on 16 features"):
        scorer(num_images=16, num_splits=2)
    with pytest.warns(UserWarning, match="biased upwards"):
        few = scorer(num_images=16, num_splits=2, allow_few=True)
    few.open(CPU)
    assert math.isfinite(few.scores(few.part(Noise(), "a")).frechet)
    with pytest.raises(ValueError, match="at least 2 images in each of 10 splits, got 19"):
        scorer(num_images=19)
    one = Scorer(
        data.load("digits", image_size=16, limit=10),
        Thumb(),
        latent=16,
        num_images=40,
        reference_splits=("train",),
    )
    with pytest.raises(ValueError, match="'digits' are too few"):
        one.open(CPU)
    with pytest.raises(RuntimeError, match="not opened"):
        scorer().part(Noise(), "a")


def test_reference_statistics_are_computed_once_and_a_damaged_file_is_set_aside(
    tmp_path: Path,
) -> None:
    extractor = Thumb()
    first = reference(DIGITS, extractor, cache=tmp_path, max_rows=50)
    calls = extractor.calls
    again = reference(DIGITS, extractor, cache=tmp_path, max_rows=50)
    assert extractor.calls == calls
    assert np.array_equal(first.gaussian.covariance, again.gaussian.covariance)
    assert np.array_equal(first.rows, again.rows)
    assert (again.count, len(again.rows)) == (first.count, 50)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.warns(UserWarning, match="damaged"):
        reference(DIGITS, extractor, cache=tmp_path, max_rows=50)
    assert extractor.calls == 2 * calls
    other = Thumb()
    other.digest = "1" * 64  # type: ignore[misc]
    reference(DIGITS, other, cache=tmp_path, max_rows=50)
    assert len([f for f in tmp_path.iterdir() if f.name.startswith("reference-")]) == 2


@pytest.fixture(scope="module")
def classifier_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    network = train(DIGITS, epochs=8)
    assert accuracy(network, DIGITS) > 90
    return write(network, "digits-cnn", tmp_path_factory.mktemp("classifier"))


def test_a_trained_classifier_gives_scores_of_its_own_name(classifier_file: Path) -> None:
    extractor = TrainedClassifier(classifier_file)
    scores = GenerativeScores(scorer_on(extractor), None)
    assert scores.name == "scores@digits-cnn"
    assert [value.name for value in scores.yields] == [
        "is@digits-cnn",
        "fid@digits-cnn",
        "kid@digits-cnn",
    ]
    assert classifier_file.stem.endswith(extractor.digest[:16])
    one = scorer_on(extractor)
    one.open(CPU)
    noise = one.scores(one.part(Noise(), "a"))
    test, _ = pixels_of(DIGITS, DIGITS.open("test"))
    features = extractor.extract(test)
    real = frechet_distance(one._opened().gaussian, moments_of([features.features_bd.numpy()], 64))
    assert real < 0.2 * noise.frechet
    assert score_of(features.logits_bk.numpy(), 1)[0] > 2 * noise.inception_score


def scorer_on(extractor: TrainedClassifier) -> Scorer:
    return Scorer(DIGITS, extractor, latent=16, num_images=200, batch_size=50)


def test_training_a_classifier_again_gives_the_same_file(tmp_path: Path) -> None:
    small = data.load("digits", image_size=16, limit=100)
    state = torch.random.get_rng_state()
    files = [write(train(small, epochs=1, seed=s), "digits-cnn", tmp_path) for s in (3, 3, 4)]
    assert files[0] == files[1] != files[2]
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_classifier_file_that_is_damaged_or_foreign_is_refused(
    classifier_file: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / classifier_file.name
    damaged.write_bytes(classifier_file.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="does not end with"):
        TrainedClassifier(damaged)
    with pytest.raises(FileNotFoundError, match="no file"):
        TrainedClassifier(tmp_path / "digits-cnn-00000000.safetensors")
    opened = TrainedClassifier(classifier_file)
    opened.open(CPU)
    with pytest.raises(ValueError, match=r"images of shape \(1, 16, 16\), got \(1, 8, 8\)"):
        opened.extract(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))
    with pytest.raises(RuntimeError, match="not opened"):
        TrainedClassifier(classifier_file).extract(torch.zeros(1, 1, 16, 16, dtype=torch.uint8))


def test_an_inception_file_of_another_digest_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pt_inception-2015-12-05-6726825d.pth"
    torch.save({"fc.bias": torch.zeros(1)}, file)
    with pytest.raises(ValueError, match=r"has SHA-256 .* expected 6726825d"):
        Inception(file)
    own = Inception(file, sha256=digest_of(file))
    assert own.label == f"inception-{own.digest[:8]}"


def test_without_the_library_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "weights.pth"
    torch.save({"fc.bias": torch.zeros(1)}, file)
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(ImportError, match=r"pip install 'evoray\[gan\]'"):
        Inception(file, sha256=digest_of(file)).open(CPU)


def test_inception_runs_on_a_file_of_the_published_layout(tmp_path: Path) -> None:
    """Random weights: the published ones are not free to bundle. The path, the shapes and the
    missing bias are what is tested.
    """
    module = pytest.importorskip(
        "torch_fidelity.feature_extractor_inceptionv3", reason="torch-fidelity is not installed"
    )
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state: OrderedDict[str, Any] = OrderedDict()
        monkey = pytest.MonkeyPatch()
        monkey.setattr(
            module.FeatureExtractorInceptionV3, "load_state_dict", lambda self, tensors: None
        )
        monkey.setattr(module, "load_state_dict_from_url", lambda *a, **k: {})
        network = module.FeatureExtractorInceptionV3("inception", ["2048"])
        monkey.undo()
    state.update(network.state_dict())
    file = tmp_path / "weights.pth"
    torch.save(state, file)
    extractor = Inception(file, sha256=digest_of(file))
    extractor.open(CPU)
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    features = extractor.extract(pixels)
    assert features.features_bd.shape == (2, 2048)
    assert torch.allclose(
        features.logits_bk, features.features_bd @ state["fc.weight"].T, atol=1e-4
    )
    grey = extractor.extract(pixels[:, :1])
    colours = extractor.extract(pixels[:, :1].expand(-1, 3, -1, -1))
    torch.testing.assert_close(
        grey.features_bd, colours.features_bd, rtol=1e-4, atol=1e-5
    )  # other strides, other order of sums
    torch.save({**state, "extra": torch.zeros(1)}, file)
    with pytest.raises(ValueError, match="566 tensors"):
        Inception(file, sha256=digest_of(file)).open(CPU)
