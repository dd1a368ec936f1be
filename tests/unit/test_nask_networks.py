"""NASK-style networks: two looks, their supernet, and what they do with odd inputs."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

import searchspaces
from searchspaces.base import architecture_of, largest, options_of, smallest
from searchspaces.nask import NASK, FirstLook, Stage, TwoLooks
from searchspaces.nask.layers.pyramid import fused, top_down
from tests.nask_inputs import TINY, Looked, drawn, random_rois, stirred

BOTH_ENDS = [smallest, largest]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def images(count: int = 3, high: int = 48, wide: int = 48) -> Tensor:
    return torch.randn(count, 3, high, wide)


def looked(num_rois: int = 5, seed: int = 0) -> Looked:
    return Looked(images(), random_rois(num_rois, 3, 48.0, seed).float())


def difference(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item() / max(1.0, b.abs().max().item())


def test_an_extracted_network_takes_both_looks_as_the_supernet_does() -> None:
    supernet, inputs = stirred(TINY.build_supernet()), looked()
    ends = [smallest(TINY), largest(TINY)]
    for architecture in (*ends, *drawn(TINY, 5)):
        ours = supernet(inputs, architecture)
        subnet = TINY.build_subnet(supernet, architecture).train()
        theirs = subnet(inputs)
        assert isinstance(ours, TwoLooks)
        assert isinstance(theirs, TwoLooks)
        assert difference(ours.maps, theirs.maps) < 1e-5
        assert difference(ours.geometry, theirs.geometry) < 1e-5
        assert ours.maps.std() > 0 < ours.geometry.std(dim=(0, 2, 3)).min()
        apart = supernet(inputs.images, architecture)
        again = supernet.second(apart.features, inputs.regions, architecture)
        assert difference(again, subnet.second(apart.features, inputs.regions)) < 1e-5
        assert torch.equal(apart.maps, ours.maps)
        assert torch.equal(again, ours.geometry)


@pytest.mark.parametrize("end", BOTH_ENDS)
def test_images_give_maps_and_features_at_stride_4_of_the_resolution(end: object) -> None:
    architecture = end(TINY)  # type: ignore[operator]
    subnet = TINY.build_subnet(None, architecture).eval()
    cells = int(options_of(TINY, architecture)["resolution"]) // 4
    look = subnet(images())
    assert isinstance(look, FirstLook)
    assert look.maps.shape == (3, 2, cells, cells)
    assert look.features.shape == (3, subnet.plan.pyramid_width, cells, cells)


@pytest.mark.parametrize("sides", [(48, 31), (1, 48), (37, 48), (96, 50), (5, 9)])
def test_images_of_any_sides_are_seen(sides: tuple[int, int]) -> None:
    supernet, architecture = stirred(TINY.build_supernet()), largest(TINY)
    longest = max(sides)
    high, wide = (-(-max(1, round(s * 48 / longest)) // 4) for s in sides)
    rois = random_rois(4, 3, 48.0).float()
    found = supernet(Looked(images(3, *sides), rois), architecture)
    assert found.maps.shape == (3, 2, high, wide)
    alone = TINY.build_subnet(supernet, architecture).train()(Looked(images(3, *sides), rois))
    assert alone.geometry.isfinite().all() & alone.maps.isfinite().all()


@pytest.mark.parametrize("end", BOTH_ENDS)
@pytest.mark.parametrize("count", [0, 1])
def test_one_rectangle_or_none_is_enough(end: object, count: int) -> None:
    architecture = end(TINY)  # type: ignore[operator]
    rows, columns = map(int, str(options_of(TINY, architecture)["roi.size"]).split("x"))
    supernet = stirred(TINY.build_supernet())
    for network in (supernet, TINY.build_subnet(supernet, architecture)):
        chosen = (architecture,) if network is supernet else ()
        found = network(looked(count), *chosen)
        assert found.geometry.shape == (count, 6, rows, columns)
        (found.maps.square().mean() + found.geometry.sum()).backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def test_rectangles_far_outside_or_of_no_size_give_finite_geometry() -> None:
    subnet = stirred(TINY.build_subnet(None, largest(TINY)))
    odd = [[0, 1e6, -1e6, 1, 0, 10, 5], [1, 24, 24, 0.6, 0.8, 0, 0], [2, 24, 24, 1, 0, 1e7, 1e7]]
    found = subnet(Looked(images(), torch.tensor(odd)))
    found.geometry.sum().backward()
    assert found.geometry.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in subnet.parameters())


def test_both_angles_are_unit_vectors_and_start_upright() -> None:
    stirred_geometry = stirred(TINY.build_subnet(None, largest(TINY)))(looked()).geometry
    fresh = TINY.build_subnet(None, largest(TINY))(looked()).geometry
    for found in (stirred_geometry, fresh):
        for pair in (found[:, 2:4], found[:, 4:6]):
            assert torch.allclose(pair.norm(dim=1), torch.ones(()), atol=1e-6)
    assert (fresh[:, 3] < -0.7).all()
    assert (fresh[:, 4] > 0.7).all()
    assert fresh[:, 1].mean().item() == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize("standalone", [False, True])
def test_mixed_precision_places_rectangles_exactly(standalone: bool) -> None:
    supernet, architecture, inputs = stirred(TINY.build_supernet()), largest(TINY), looked()
    network = TINY.build_subnet(supernet, architecture) if standalone else supernet
    chosen = () if standalone else (architecture,)
    exact = network(inputs, *chosen)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = network(inputs, *chosen)
    assert found.geometry.dtype == torch.float32
    assert (found.geometry - exact.geometry).abs().mean() < 0.1 * exact.geometry.std()
    assert torch.allclose(found.geometry[:, 2:4].norm(dim=1), torch.ones(()), atol=1e-6)
    (found.maps.float().sum() + found.geometry.sum()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def test_proposals_see_maps_without_a_gradient_and_boxes_of_the_batch() -> None:
    seen: list[Tensor] = []

    class Proposing:
        images = images()

        def rois(self, maps: Tensor) -> Tensor:
            seen.append(maps)
            return random_rois(2, 3, 48.0).float()

    found = TINY.build_supernet()(Proposing(), smallest(TINY))
    assert torch.equal(seen[0], found.maps)
    assert found.maps.requires_grad
    assert not seen[0].requires_grad
    assert torch.equal(found.rois, random_rois(2, 3, 48.0).float())


def test_the_second_part_has_no_statistics_and_rois_do_not_see_each_other() -> None:
    subnet = stirred(TINY.build_subnet(None, largest(TINY))).train()
    norms = [n for n, m in subnet.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert all(name.startswith("first.") for name in norms)
    look, rois = subnet(images()), random_rois(6, 3, 48.0).float()
    together = subnet.second(look.features, rois)
    alone = torch.cat([subnet.second(look.features, roi[None]) for roi in rois])
    assert torch.allclose(together, alone, atol=1e-5)


def test_weights_do_not_depend_on_the_size_of_a_rectangle_s_map() -> None:
    supernet, inputs = stirred(TINY.build_supernet()), looked()
    sizes = {
        size: architecture_of(TINY, {**options_of(TINY, largest(TINY)), "roi.size": size})
        for size in TINY.roi_sizes
    }
    built = {size: TINY.build_subnet(supernet, a) for size, a in sizes.items()}
    first, second = (list(network.parameters()) for network in built.values())
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert {tuple(n(inputs).geometry.shape[2:]) for n in built.values()} == {(4, 12), (8, 16)}


@pytest.mark.parametrize("placement", ["p5", "stride8", "stride4"])
def test_fresh_attention_and_offsets_change_nothing(placement: str) -> None:
    supernet, inputs = TINY.build_supernet(), looked()
    start = options_of(TINY, largest(TINY)) | {"gsca.placement": "none"}
    plain = supernet(inputs, architecture_of(TINY, start))
    for change in ({"gsca.placement": placement}, {"roi.operator": "ga1"}, {"roi.operator": "ga0"}):
        found = supernet(inputs, architecture_of(TINY, start | change))
        assert torch.equal(found.maps, plain.maps)
        assert torch.equal(found.geometry, plain.geometry)


def test_a_narrow_pyramid_holds_the_first_channels_of_a_wide_one() -> None:
    wide = [torch.randn(1, 6, 16 // 2**i, 16 // 2**i) for i in range(4)]
    assert torch.equal(fused([level[:, :2] for level in wide]), fused(wide)[:, :8])


def test_levels_of_odd_sides_meet_where_their_pixels_lie() -> None:
    constant = [torch.full((1, 1, -(-19 // 2**i), -(-13 // 2**i)), 10.0**i) for i in range(4)]
    levels = top_down(constant)
    assert [level.mean().item() for level in levels] == pytest.approx([1111, 1110, 1100, 1000])
    x = fused(levels)
    assert x.shape == (1, 4, 19, 13)
    assert torch.allclose(x[0, :, 5, 5], torch.tensor([1111.0, 1110, 1100, 1000]))


@pytest.mark.parametrize("standalone", [False, True])
@pytest.mark.parametrize("rates", [{"dropout": 0.3}, {"drop_connect": 0.6}])
def test_regularisers_act_only_in_the_forward_that_asks_for_them(
    standalone: bool, rates: dict[str, float]
) -> None:
    supernet, architecture = stirred(TINY.build_supernet()), largest(TINY)
    network = TINY.build_subnet(supernet, architecture) if standalone else supernet
    chosen = () if standalone else (architecture,)
    x = images()
    assert not torch.equal(network(x, *chosen, **rates).maps, network(x, *chosen, **rates).maps)
    assert torch.equal(network(x, *chosen).maps, network(x, *chosen).maps)


def test_a_gradient_reaches_all_of_the_largest_network_and_no_other_attention() -> None:
    supernet = stirred(TINY.build_supernet())
    architecture = largest(TINY)
    found = supernet(looked(), architecture)
    (
        found.maps.square().sum() + (found.geometry * torch.randn_like(found.geometry)).sum()
    ).backward()
    own = {name for name, _ in TINY.build_subnet(supernet, architecture).named_parameters()}
    for name, parameter in supernet.named_parameters():
        assert (parameter.grad is not None) == (name in own), name
        assert parameter.grad is None or parameter.grad.any(), name


def test_a_seed_fixes_supernet_and_stand_alone_networks() -> None:
    def weights(seed: int) -> list[Tensor]:
        torch.manual_seed(seed)
        alone = TINY.build_subnet(None, largest(TINY))
        return [*TINY.build_supernet().parameters(), *alone.parameters()]

    assert all(torch.equal(a, b) for a, b in zip(weights(1), weights(1), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(1), weights(2), strict=True))


def test_extraction_draws_nothing() -> None:
    supernet = stirred(TINY.build_supernet())
    state = torch.get_rng_state()
    TINY.build_subnet(supernet, largest(TINY))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_stand_alone_network_learns_both_parts() -> None:
    subnet = TINY.build_subnet(None, architecture_of(TINY, {"roi.operator": "ga2"}))
    inputs = looked()
    text = torch.zeros(3, 2, 8, 8)
    text[:, :, 2:5, 1:7] = 1.0
    wanted = torch.rand(5, 2, 4, 12)
    optimizer = torch.optim.Adam(subnet.parameters(), lr=0.03)
    losses = []
    for _ in range(20):
        found = subnet(inputs)
        loss = nn.functional.binary_cross_entropy_with_logits(found.maps, text)
        loss = loss + (found.geometry[:, :2] - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_genes_of_decoding_build_the_same_network() -> None:
    supernet, inputs = stirred(TINY.build_supernet()), looked()
    start = options_of(TINY, largest(TINY))
    other = {name: TINY.decisions[name][0] for name in TINY.decoding_genes}
    one, two = (architecture_of(TINY, start | change) for change in ({}, other))
    assert one.key != two.key
    assert TINY.plan(one) == TINY.plan(two)
    assert torch.equal(supernet(inputs, one).geometry, supernet(inputs, two).geometry)


def test_both_versions_differ_in_the_operator_s_genes_alone() -> None:
    for preset in ("full", "small"):
        first, second = (searchspaces.load(f"nask_v{v}:{preset}") for v in (1, 2))
        assert isinstance(first, NASK)
        assert isinstance(second, NASK)
        operator = {"roi.operator", "roi.samples", "roi.encoder"}
        for name, options in first.decisions.items():
            assert (options == second.decisions[name]) == (name not in operator), name
        shared = options_of(first, largest(first))
        same = architecture_of(second, {**shared, "roi.operator": "ga0"})
        ours, theirs = first.plan(largest(first)), second.plan(same)
        assert dataclasses.replace(theirs.align, operator="text_roi_pooling") == ours.align
        assert dataclasses.replace(theirs, align=ours.align) == ours
        assert not first.published


def test_a_laptop_s_largest_network_has_three_quarters_of_a_million_parameters() -> None:
    for name in ("nask_v1:small", "nask_v2:small"):
        space = searchspaces.load(name)
        params = sum(p.numel() for p in space.build_subnet(None, largest(space)).parameters())
        assert params == pytest.approx(0.75e6, rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("end", BOTH_ENDS)
def test_each_part_exports_as_a_graph_of_its_own(end: object) -> None:
    subnet = stirred(TINY.build_subnet(None, end(TINY))).eval()  # type: ignore[operator]
    inputs = looked(4)
    with torch.no_grad():
        look = subnet(inputs.images)
        first = torch.export.export(subnet.first, (inputs.images,)).module()
        torch.testing.assert_close(tuple(first(inputs.images)), tuple(look))
        rois = torch.export.Dim("rois", min=1)
        second = torch.export.export(
            subnet.second_part, (look.features, inputs.regions), dynamic_shapes=(None, {0: rois})
        ).module()
        for count in (1, 4, 9):
            some = random_rois(count, 3, 48.0, seed=count).float()
            torch.testing.assert_close(
                second(look.features, some), subnet.second(look.features, some)
            )


@pytest.mark.slow
def test_onnxruntime_computes_what_torch_computes_for_both_parts(tmp_path: object) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    subnet = stirred(TINY.build_subnet(None, largest(TINY))).eval()
    inputs = looked(4)
    with torch.no_grad():
        look = subnet(inputs.images)
        geometry = subnet.second(look.features, inputs.regions)
    parts = {
        "first": (subnet.first, (inputs.images,), tuple(look)),
        "second": (subnet.second_part, (look.features, inputs.regions), (geometry,)),
    }
    for name, (part, taken, expected) in parts.items():
        path = f"{tmp_path}/{name}.onnx"
        torch.onnx.export(part, taken, path, dynamo=True, verbose=False)
        session = onnxruntime.InferenceSession(path)
        fed = {i.name: x.numpy() for i, x in zip(session.get_inputs(), taken, strict=True)}
        for found, wanted in zip(session.run(None, fed), expected, strict=True):
            torch.testing.assert_close(torch.from_numpy(found), wanted, atol=1e-4, rtol=1e-4)


def test_a_foreign_architecture_or_supernet_is_refused() -> None:
    foreign = dataclasses.replace(smallest(TINY), space="elsewhere")
    with pytest.raises(ValueError, match="space 'elsewhere', but this is 'tiny'"):
        TINY.build_supernet()(images(), foreign)
    with pytest.raises(ValueError, match="space 'elsewhere', but this is 'tiny'"):
        TINY.build_supernet().second(torch.zeros(1, 8, 8, 8), torch.zeros(0, 7), foreign)
    with pytest.raises(ValueError, match=r"no parameter 'first\.backbone\.stem\.weight'"):
        TINY.build_subnet(nn.Identity(), smallest(TINY))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"resolutions": ()}, r"tiny: resolutions must be .* got \(\)"),
        ({"stages": TINY.stages[:3]}, "four stages, at strides 4, 8, 16 and 32, got 3"),
        ({"pyramid_widths": (8, 12)}, "pyramid widths must be multiples of 8"),
        ({"fox_widths": (20,)}, "fox widths must be multiples of 8"),
        ({"operators": ("ga3",)}, r"operators must be .*ga2, in this order, got \('ga3',\)"),
        ({"operators": ("ga1", "ga0")}, "in this order"),
        ({"placements": ()}, "placements must be at least one of none, p5"),
        ({"convolutions": ("dense",)}, "at least one of separable, plain"),
        ({"roi_sizes": ("16",)}, "ROWSxCOLUMNS with rows a multiple of 4, such as 16x64, got '16'"),
        ({"roi_sizes": ("6x24",)}, "got '6x24'"),
        ({"roi_sizes": ()}, "roi_sizes must"),
        ({"groups": (2, 4)}, "groups that begin with 1"),
        ({"reductions": (2.0,)}, "reductions above 0 and up to 1"),
        ({"encoders": (-1,)}, "at least 0"),
        ({"samples": (0,)}, "tiny: samples must be"),
        ({"in_channels": 0}, "in_channels must be at least 1, got 0"),
    ],
)
def test_an_impossible_space_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY, **wrong)


def test_an_impossible_stage_or_preset_is_refused() -> None:
    with pytest.raises(ValueError, match="depths must be"):
        Stage(widths=(8, 16), depths=(2, 1))
    for name in ("nask_v1", "nask_v2"):
        with pytest.raises(ValueError, match="no preset 'smal'; did you mean 'small'"):
            searchspaces.load(f"{name}:smal")
