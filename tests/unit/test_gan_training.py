"""GAN steps: losses, who learns in which step, private copies and their resetting, averages,
collapse; on tiny networks.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from evoray import data
from evoray.training.gan import config
from evoray.training.gan.calibration import LatentCalibration
from evoray.training.gan.collapse import CollapseWatch, spread
from evoray.training.gan.images import signed
from evoray.training.gan.losses import discriminator_loss, generator_loss
from evoray.training.gan.pairings import ManyToOne, OneToOne, Pair, drawn, latents
from evoray.training.gan.step import Player, discriminator_step, generator_step
from evoray.training.recipe.averaging import moving_average
from searchspaces.base import Architecture, architectures
from searchspaces.eagan import build

CPU = torch.device("cpu")
G = dataclasses.replace(build("generator-digits"), channels=4, latent=6)
D = dataclasses.replace(build("discriminator-digits"), channels=4)
TINY = config.GanConfig(
    generator_batch=6, discriminator_batch=4, generator_rate=1e-2, discriminator_rate=1e-2
)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def some(space: Any, count: int, seed: int = 0) -> list[Architecture]:
    return architectures(space, space.sample(count, np.random.default_rng(seed)))


def reals(count: int = 1, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(4, 1, 16, 16, generator=generator) * 2 - 1 for _ in range(count)]


def weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def moved(network: nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}


def many_to_one(**changes: Any) -> ManyToOne:
    discriminator = D.build_subnet(None, some(D, 1)[0])
    return ManyToOne(
        G.build_supernet(),
        discriminator,
        dataclasses.replace(TINY, **changes),
        latent=G.latent,
        seed=1,
        device=CPU,
    )


def one_to_one(num_pairs: int = 3) -> OneToOne:
    generator = G.build_subnet(None, some(G, 1)[0])
    settings = dataclasses.replace(TINY, critic_steps=2)
    return OneToOne(
        D.build_supernet(), generator, num_pairs, settings, latent=G.latent, seed=1, device=CPU
    )


def test_hinge_losses_with_known_answers() -> None:
    zero = torch.zeros(3)
    assert discriminator_loss(zero, zero).item() == pytest.approx(2.0)
    assert generator_loss(zero).item() == 0.0
    assert discriminator_loss(
        torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 1.0])
    ).item() == pytest.approx(0.25 + 1.0)
    assert generator_loss(torch.tensor([1.0, 3.0])).item() == pytest.approx(-2.0)


def test_the_papers_and_the_released_settings_differ_where_the_sheet_says() -> None:
    paper, released = config.stage_one(), config.stage_one_released()
    assert (paper.generator_rate, paper.discriminator_rate, released.discriminator_rate) == (
        2e-4,
        2e-4,
        4e-5,
    )
    assert (config.stage_two().critic_steps, paper.critic_steps, paper.betas) == (5, 1, (0.0, 0.9))
    assert (config.final_cifar10().average_decay, config.final_stl10().clip_norm) == (0.999, 50.0)


@pytest.mark.parametrize(
    "wrong",
    [{"critic_steps": 0}, {"average_decay": 1.0}, {"generator_rate": -1.0}, {"betas": (0.0, 1.0)}],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"gan\."):
        config.GanConfig(**wrong)


def test_each_step_trains_its_own_network_alone() -> None:
    generator, discriminator = (s.build_subnet(None, some(s, 1)[0]).train() for s in (G, D))
    g, d = Player(generator, 1e-2, TINY), Player(discriminator, 1e-2, TINY)
    before_g, before_d, z = weights(generator), weights(discriminator), torch.randn(4, G.latent)
    assert math.isfinite(discriminator_step(d, discriminator, generator, reals()[0], z))
    assert moved(discriminator, before_d)
    assert not moved(generator, before_g)
    assert all(p.grad is None for p in generator.parameters())
    discriminator.zero_grad()
    before_d = weights(discriminator)
    assert math.isfinite(generator_step(g, generator, discriminator, discriminator, z))
    assert moved(generator, before_g)
    assert not moved(discriminator, before_d)
    assert all(p.grad is None and p.requires_grad for p in discriminator.parameters())


def test_a_loss_that_is_not_finite_changes_nothing() -> None:
    generator, discriminator = (s.build_subnet(None, some(s, 1)[0]).train() for s in (G, D))
    player, before = Player(discriminator, 1e-2, TINY), weights(discriminator)
    real = torch.full((4, 1, 16, 16), math.nan)
    assert math.isnan(
        discriminator_step(player, discriminator, generator, real, torch.randn(4, G.latent))
    )
    assert not moved(discriminator, before)


def test_stage_one_trains_the_path_and_what_is_shared_and_nothing_else() -> None:
    stage = many_to_one()
    first, second = some(G, 2)
    stage.train(0, first, reals())
    before = weights(stage.generators)
    stage.train(1, second, reals())
    allowed = {name for name, _ in G.build_subnet(None, second).named_parameters()}
    changed = moved(stage.generators, before)
    assert changed
    assert changed <= allowed
    assert {n for n in allowed if n.startswith(("stems", "head", "norm"))} <= changed


def test_stage_one_has_one_discriminator_that_every_batch_trains() -> None:
    stage = many_to_one(critic_steps=2)
    for step in range(3):
        stage.train(step, some(G, 3)[step], reals(2))
    assert stage.num_steps == 6
    with pytest.raises(ValueError, match="2 batches of real images"):
        stage.train(3, some(G, 1)[0], reals(1))


def test_the_same_seed_trains_the_same_weights() -> None:
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        stage = many_to_one()
        torch.manual_seed(
            torch.seed() % 1000
        )  # what happens to torch's global generator does not matter
        for step in range(3):
            stage.train(step, some(G, 3)[drawn(3, 5, step)], reals(seed=step))
        found.append(weights(stage.generators))
    assert all(torch.equal(found[0][n], found[1][n]) for n in found[0])
    assert not torch.equal(latents(2, 3, 0, "a", 1), latents(2, 3, 0, "a", 2))


def test_candidates_are_drawn_uniformly() -> None:
    counts = np.bincount([drawn(8, 0, step) for step in range(8000)], minlength=8)
    assert (
        (counts - 1000) ** 2 / 1000
    ).sum() < 24.3  # chi-squared, 7 degrees of freedom, p = 0.001


def test_stage_two_trains_private_copies_and_resetting_makes_them_equal_again() -> None:
    stage = one_to_one()
    original = weights(stage.generators[0])
    ds = some(D, 3)
    for step, pair in enumerate((0, 1, 0)):
        assert stage.train(step, pair, ds[pair], reals(2, seed=step)).are_finite
    copies = [weights(g) for g in stage.generators]
    assert all(torch.equal(copies[2][n], original[n]) for n in original)  # pair 2 was never drawn
    differ = [
        (a, b)
        for a in range(3)
        for b in range(a)
        if any(not torch.equal(copies[a][n], copies[b][n]) for n in original)
    ]
    assert len(differ) == 3
    before_d = weights(stage.discriminators)
    stage.reset(best=1)
    assert not moved(stage.discriminators, before_d)
    for generator in stage.generators:
        assert all(torch.equal(p, copies[1][n]) for n, p in generator.named_parameters())
    storages = [
        p.untyped_storage().data_ptr()
        for g in stage.generators
        for p in [*g.parameters(), *g.buffers()]
    ]
    assert len(set(storages)) == len(storages)
    stage.train(3, 0, ds[0], reals(2))
    assert not moved(stage.generators[1], copies[1])


def test_the_generator_given_to_stage_two_stays_as_it_is() -> None:
    generator = G.build_subnet(None, some(G, 1)[0])
    before = weights(generator)
    stage = OneToOne(D.build_supernet(), generator, 2, TINY, latent=G.latent, seed=0, device=CPU)
    stage.train(0, 0, some(D, 1)[0], reals())
    assert not moved(generator, before)
    with pytest.raises(ValueError, match="at least 1 pair"):
        OneToOne(D.build_supernet(), generator, 0, TINY, latent=G.latent, seed=0, device=CPU)


def test_an_average_moves_by_its_share_and_takes_buffers_as_they_are() -> None:
    network = nn.BatchNorm2d(2)
    average = moving_average(network, 0.999)
    with torch.no_grad():
        network.weight.fill_(3.0)
        assert network.running_mean is not None
        network.running_mean.fill_(7.0)
    average.update_parameters(network)
    assert torch.allclose(average.module.weight, torch.full((2,), 0.999 * 1.0 + 0.001 * 3.0))  # type: ignore[arg-type]
    assert torch.equal(average.module.running_mean, network.running_mean)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="below 1, got 1"):
        moving_average(network, 1.0)


def test_a_collapse_is_noticed_and_written_down() -> None:
    watch = CollapseWatch(reals()[0])
    varied, same = torch.rand(8, 1, 16, 16) * 2 - 1, torch.rand(1, 1, 16, 16).expand(8, -1, -1, -1)
    assert watch.look(1, "a", varied) is None
    found = watch.look(2, "a", same)
    assert found is not None
    assert (found.reason, found.spread) == ("images are alike", 0.0)
    assert watch.look(3, "b", torch.full((2, 1, 16, 16), math.nan)) is not None
    watch.lost(4, "b")
    assert [(r["step"], r["name"], r["spread"]) for r in watch.records()] == [
        (2, "a", 0.0),
        (3, "b", None),
        (4, "b", None),
    ]
    with pytest.raises(ValueError, match="at least two different ones"):
        CollapseWatch(same)
    assert spread(torch.tensor([[[[0.0]]], [[[2.0]]]])) == 1.0


def test_generators_are_recalibrated_on_latents() -> None:
    supernet, architecture = G.build_supernet(), some(G, 1)[0]
    network = G.build_subnet(supernet, architecture)
    LatentCalibration(latent=G.latent, num_images=256, batch_size=64)(network, CPU)
    z = torch.randn(512, G.latent)
    with torch.no_grad():
        assert (
            network(z) - supernet(z, architecture)
        ).abs().mean() < 0.02  # batch statistics of many images are near the running ones
    assert not network.training


def test_real_images_come_to_a_generators_scale() -> None:
    source = data.load("digits", image_size=16)
    split = source.open("test")
    images = signed(split.images(range(50)), source.mean, source.std)
    assert (float(images.min()), float(images.max())) == (-1.0, 1.0)
    flat = torch.tensor([[[[(0.0 - 0.305) / 0.33, (0.5 - 0.305) / 0.33]]]])
    assert torch.allclose(
        signed(flat, source.mean, source.std), torch.tensor([-1.0, 0.0]), atol=1e-6
    )


def test_each_network_learns_against_the_other_held_still() -> None:
    source = data.load("digits", image_size=16)
    real = signed(source.open("train").images(range(64)), source.mean, source.std)
    generator, discriminator = (s.build_subnet(None, some(s, 1, seed=1)[0]).train() for s in (G, D))
    g, d = Player(generator, 2e-3, TINY), Player(discriminator, 2e-3, TINY)

    def z(step: int) -> torch.Tensor:
        return latents(16, G.latent, 0, step)

    found = [
        discriminator_step(d, discriminator, generator, real[16 * (s % 4) :][:16], z(s))
        for s in range(60)
    ]
    assert found[-1] < 0.5 * found[0]
    raised = [generator_step(g, generator, discriminator, discriminator, z(s)) for s in range(40)]
    assert raised[-1] < raised[0] - 0.5


class Beside:
    """A group of two ranks in which the other one's gradients are this one's times `factor`."""

    rank, world_size = 0, 2

    def __init__(self, factor: float) -> None:
        self._factor = factor

    def add_up(self, tensor: torch.Tensor) -> None:
        tensor.add_(tensor * self._factor)


def test_ranks_average_their_gradients_and_skip_a_step_together() -> None:
    found = {}
    for name, group in (("alone", None), ("same", Beside(1.0)), ("broken", Beside(math.nan))):
        torch.manual_seed(0)
        network = nn.Linear(3, 1)
        before = weights(network)
        player = Player(network, 1e-2, TINY, group)
        player.descend(network(torch.ones(2, 3)).sum())
        found[name] = weights(network)
        assert bool(moved(network, before)) == (name != "broken")
    assert all(torch.equal(found["alone"][n], found["same"][n]) for n in found["alone"])


def test_a_pair_alone_is_trained_and_averaged() -> None:
    torch.manual_seed(0)
    settings = dataclasses.replace(TINY, critic_steps=2, average_decay=0.5)
    generator, discriminator = (s.build_subnet(None, some(s, 1)[0]) for s in (G, D))
    pair = Pair(generator, discriminator, settings, latent=G.latent, seed=0, device=CPU)
    before = weights(generator)
    assert pair.train(0, reals(2)).are_finite
    assert moved(generator, before)
    averaged = weights(pair.best)
    name = "head.weight"
    assert torch.allclose(averaged[name], (before[name] + generator.head.weight.detach()) / 2)
    assert set(pair.players) == {"generator", "discriminator", "average"}


def test_pairs_that_are_not_reset_follow_their_own_generator() -> None:
    stage = one_to_one()
    ds = some(D, 3)
    for step, pair in enumerate((0, 1, 0)):
        stage.train(step, pair, ds[pair], reals(2, seed=step))
    kept, copies = list(stage.generators), [weights(g) for g in stage.generators]
    stage.follow([1, 1, 0])
    assert stage.generators[0] is kept[1]
    assert stage.generators[2] is kept[0]
    assert stage.generators[1] is not kept[1]
    assert not moved(stage.generators[1], copies[1])
    with pytest.raises(
        ValueError, match=r"3 pairs need as many old pairs to follow, got \[0, 5, 1\]"
    ):
        stage.follow([0, 5, 1])
