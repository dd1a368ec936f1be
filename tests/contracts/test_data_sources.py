"""The data-source contract, for every file of evoray/data/ whose data is embedded; the others need
a folder, and tests of their own.
"""

from __future__ import annotations

import pickle

import pytest
import torch

from evoray import data
from evoray.data.parts.images import SPLITS, ImageSource


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
    assert {"digits", "strokes"} <= set(data.names())


def test_images_have_the_shape_and_labels_the_classes_that_it_says(source: ImageSource) -> None:
    for name in SPLITS:
        split = source.open(name)
        images = split.images([0, len(split) - 1])
        assert images.shape == (2, *source.image_shape)
        assert images.dtype == torch.float32
        assert torch.isfinite(images).all()
        assert split.labels.dtype == torch.int64
        assert len(split.labels) == len(split)
        assert int(split.labels.min()) >= 0
        assert int(split.labels.max()) < source.num_classes


def test_a_limit_is_one_on_training_images_only(source: ImageSource) -> None:
    unlimited = data.load(source.name, image_size=16)
    assert source.size == len(source.open("train")) <= 100 < unlimited.size
    assert len(source.open("test")) == len(unlimited.open("test"))


def test_no_image_of_a_split_is_in_another(source: ImageSource) -> None:
    pictures = [
        {image.numpy().tobytes() for image in split.images(range(len(split)))}
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
