"""The data-source contract, for every file of evoray/data/ whose data is embedded; the others need
a folder, and tests of their own.
"""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from evoray import data
from evoray.data.parts.images import SPLITS, HasClasses, ImageSource, with_classes
from evoray.training import tasks


@pytest.fixture(params=data.names())
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ImageSource:
    monkeypatch.delenv("EVORAY_DATA", raising=False)
    try:
        return data.load(request.param, image_size=16, limit=100)
    except (FileNotFoundError, ValueError):
        pytest.skip("its data is not embedded")


def test_it_bears_the_name_by_which_it_is_found(
    source: ImageSource, request: pytest.FixtureRequest
) -> None:
    assert source.name == request.node.callspec.params["source"]


def test_what_is_embedded_is_found() -> None:
    assert {"digits", "strokes", "text"} <= set(data.names())


def test_images_have_the_shape_that_it_says(source: ImageSource) -> None:
    for name in SPLITS:
        split = source.open(name)
        images = split.images([0, len(split) - 1])
        assert images.shape == (2, *source.image_shape)
        assert images.dtype == torch.float32
        assert torch.isfinite(images).all()


def test_labels_are_the_classes_that_it_says(source: ImageSource) -> None:
    if not isinstance(source, HasClasses):
        with pytest.raises(ValueError, match="has no classes"):
            with_classes(source)
        assert tasks.name_of(source) != "classification"
        return
    for name in SPLITS:
        split = with_classes(source).open(name)
        assert split.labels.dtype == torch.int64
        assert len(split.labels) == len(split)
        assert int(split.labels.min()) >= 0
        assert int(split.labels.max()) < source.num_classes


def test_texts_lie_in_their_image(source: ImageSource) -> None:
    if tasks.name_of(source) != "text_detection":
        pytest.skip("its images have no texts")
    for name in SPLITS:
        split = source.open(name)
        for index in (0, len(split) - 1):
            _, height, width = split.pixels(index).shape
            assert split.pixels(index).dtype == np.uint8
            assert split.scale(index) * max(height, width) == pytest.approx(source.image_shape[1])
            for region in split.regions(index):
                assert region.polygon.dtype == np.float64
                assert (region.polygon >= 0).all()
                assert (region.polygon <= (width, height)).all()
        assert len({split.name(index) for index in range(len(split))}) == len(split)


def test_a_limit_is_one_on_training_images_only(source: ImageSource) -> None:
    unlimited = data.load(source.name, image_size=16)
    assert source.size == len(source.open("train")) <= 100 < unlimited.size
    assert len(source.open("test")) == len(unlimited.open("test"))


def test_no_image_of_a_split_is_in_another(source: ImageSource) -> None:
    # Texts are drawn one by one, and of several splits those of one index would be the same first.
    most = None if isinstance(source, HasClasses) else 8
    pictures = [
        {image.numpy().tobytes() for image in split.images(range(len(split))[:most])}
        for split in map(data.load(source.name, image_size=16).open, SPLITS)
    ]
    assert not pictures[0] & pictures[1]
    assert not (pictures[0] | pictures[1]) & pictures[2]


def test_it_is_the_same_in_every_process(source: ImageSource) -> None:
    again = pickle.loads(pickle.dumps(source))
    assert again == source
    assert again.contents().digest == source.contents().digest
    assert len(pickle.dumps(source)) < 10_000


def test_an_unknown_split_is_refused(source: ImageSource) -> None:
    with pytest.raises(ValueError, match="no split 'exam'"):
        source.open("exam")
