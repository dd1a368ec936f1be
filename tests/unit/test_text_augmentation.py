"""Images and regions that move together, as a function of a seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evoray.training.recipe.text_augmentation import TextAugmentation
from evoray.training.tasks.parts.text_augmentation import (
    augmented,
    moved_regions,
)
from objectives.parts.text.rasterisation import filled
from objectives.parts.text.regions import TextRegion
from tests.text_scenes import box, ious

STILL = TextAugmentation(scale=(1.0, 1.0), degrees=0.0, colour=0.0)


def scene(*polygons: np.ndarray, size: tuple[int, int] = (96, 128)) -> torch.Tensor:
    """(1, 3, h, w) of 0, and of 1 inside the polygons."""
    mask = filled(polygons, size).any(axis=0)
    return torch.from_numpy(mask.astype(np.float32)).expand(1, 3, *size).contiguous()


def test_nothing_changes_where_nothing_may() -> None:
    region = TextRegion(box(60, 40, 50, 20), "word")
    image = scene(region.polygon)
    images, [[found]] = augmented(image, [[region]], STILL, np.random.default_rng(0))
    assert torch.allclose(images, image, atol=1e-5)
    assert found.polygon == pytest.approx(region.polygon)
    assert (found.text, found.ignored) == ("word", False)


@pytest.mark.parametrize("seed", range(6))
def test_polygons_stay_on_the_pixels_that_they_stood_on(seed: int) -> None:
    y, x = np.mgrid[:96, :128] + 0.5
    image = torch.from_numpy(np.stack([x, y, np.ones_like(x)])[None])
    region = TextRegion(box(64, 48, 24, 12, 8), ignored=True)
    settings = TextAugmentation(degrees=20.0, mirror=0.5, colour=0.0)
    images, [found] = augmented(image, [[region]], settings, np.random.default_rng(seed))
    # Where each pixel was: an affine function, which bilinear sampling reproduces.
    was = images[0].numpy()
    inside = was[2] > 1 - 1e-9
    places = np.stack([x[inside], y[inside], np.ones(inside.sum())], axis=1)
    back, *_ = np.linalg.lstsq(places, was[:2, inside].T)
    corners = np.column_stack([found[0].polygon, np.ones(4)]) @ back
    assert corners == pytest.approx(region.polygon, abs=1e-6)


def test_the_same_seed_gives_the_same_batch_and_another_one_another() -> None:
    regions = [[TextRegion(box(60, 45, 46, 22, 8))]] * 2
    image = scene(box(60, 45, 46, 22, 8)).expand(2, 3, 96, 128)
    settings = TextAugmentation()
    one, of_one = augmented(image, regions, settings, np.random.default_rng(5))
    same, of_same = augmented(image, regions, settings, np.random.default_rng(5))
    other, _ = augmented(image, regions, settings, np.random.default_rng(6))
    assert torch.equal(one, same)
    assert of_one[0][0].polygon.tolist() == of_same[0][0].polygon.tolist()
    assert not torch.equal(one, other)
    assert not torch.equal(one[0], one[1])


def test_a_crop_avoids_texts_where_it_can() -> None:
    words = [box(64, y, 60, 12) for y in (16, 48, 80)]
    regions = [[TextRegion(word) for word in words]]
    zoom = TextAugmentation(scale=(1.6, 1.6), degrees=0.0, colour=0.0)
    once = TextAugmentation(scale=(1.6, 1.6), degrees=0.0, colour=0.0, attempts=1)
    cuts = {
        settings: sum(
            one.ignored
            for seed in range(40)
            for one in augmented(scene(*words), regions, settings, np.random.default_rng(seed))[1][
                0
            ]
        )
        for settings in (zoom, once)
    }
    assert cuts[zoom] < 0.5 * cuts[once]


def test_regions_that_are_cut_become_ignored_and_those_outside_go() -> None:
    whole, cut, out = box(50, 40, 40, 20), box(128, 40, 40, 20), box(300, 40, 40, 20)
    grazing = box(109, 40, 40, 20)
    regions = [TextRegion(ring) for ring in (whole, cut, out, grazing, whole[:2])]
    still = np.array([[1.0, 0, 0], [0, 1, 0]])
    found = moved_regions(regions, still, (96, 128))
    assert [one.ignored for one in found] == [False, True, False]
    assert found[1].polygon.tolist() == cut.tolist()
    assert moved_regions([TextRegion(whole, ignored=True)], still, (96, 128))[0].ignored
    assert moved_regions([], still, (96, 128)) == ()


def test_bad_outlines_go_through() -> None:
    crossed = np.array([[-20.0, 20], [120, 60], [120, 20], [-20, 70]])
    bad = [np.zeros((0, 2)), box(1, 1, 9, 9)[:2], np.full((4, 2), 7.0), crossed, crossed * 50]
    regions = [[TextRegion(ring) for ring in bad]]
    for seed in range(5):
        images, _ = augmented(scene(), regions, TextAugmentation(), np.random.default_rng(seed))
        assert images.isfinite().all()


def test_images_without_text_change_too() -> None:
    image = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    images, found = augmented(image, [[]], TextAugmentation(), np.random.default_rng(0))
    assert images.shape == image.shape
    assert found == ((),)


def test_colour_leaves_what_lies_outside_alone() -> None:
    small = TextAugmentation(scale=(0.5, 0.5), degrees=0.0, colour=0.3)
    image = torch.ones(1, 3, 96, 128)
    images, _ = augmented(image, [[]], small, np.random.default_rng(0))
    assert (images == 0).float().mean() > 0.7
    levels = images[0, :, images[0, 0] != 0].median(dim=1).values
    assert len(set(levels.tolist())) == 3


def test_a_turned_region_has_the_polygon_of_its_turned_corners() -> None:
    turn = TextAugmentation(scale=(2.0, 2.0), degrees=0.0, mirror=1.0, colour=0.0, attempts=1)
    region = TextRegion(box(64, 48, 20, 10, 15))
    _, [[found]] = augmented(scene(), [[region]], turn, np.random.default_rng(1))
    middle = found.polygon.mean(axis=0)
    assert ious([found.polygon], [box(*middle, 40, 20, -15)])[0] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "wrong",
    [{"scale": (2.0, 1.0)}, {"scale": (0.0, 1.0)}, {"mirror": 2.0}, {"attempts": 0}],
)
def test_settings_that_cannot_be_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TextAugmentation(**wrong)  # type: ignore[arg-type]
