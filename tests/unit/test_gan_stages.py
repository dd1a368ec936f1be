"""EAGAN's stages round by round: calendars, resuming to the same weights, resetting and following,
shares that are averaged.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evoray import data
from evoray.training import checkpoints
from evoray.training.gan.config import GanConfig, StageConfig
from evoray.training.gan.images import RealImages
from evoray.training.gan.parameter_averaging import merged
from evoray.training.gan.rounds import Calendar, Round, RoundPart
from evoray.training.gan.stage import DiscriminatorStage, FinalStage, GeneratorStage, Stage
from evoray.training.gan.training import StageTraining, part_of
from searchspaces.base import Architecture, architectures
from searchspaces.eagan import build

SOURCE = data.load("digits", image_size=16, limit=60)
G: Any = dataclasses.replace(build("generator-digits"), channels=4, latent=6)
D: Any = dataclasses.replace(build("discriminator-digits"), channels=4)
GAN = GanConfig(
    generator_batch=4, discriminator_batch=32, generator_rate=1e-3, discriminator_rate=1e-3
)
CONFIG = StageConfig(
    gan=GAN,
    warmup_epochs=0.1,
    rounds=3,
    epochs=0.15,
    log_every_steps=1,
    checkpoint_every_seconds=1e9,
)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def some(space: Any, count: int, seed: int = 0) -> tuple[Architecture, ...]:
    return tuple(architectures(space, space.sample(count, np.random.default_rng(seed))))


def generators() -> Stage:
    torch.manual_seed(1)
    return GeneratorStage(G, SOURCE, CONFIG, G.latent, 5, D.build_subnet(None, some(D, 1)[0]))


def pairs(count: int = 2) -> Stage:
    torch.manual_seed(1)
    return DiscriminatorStage(
        D, SOURCE, CONFIG, G.latent, 5, G.build_subnet(None, some(G, 1)[0]), count
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found = checkpoints.latest(folder)
    assert found is not None
    return {
        name: tensor.clone() for name, tensor in {**found.weights(), **found.optimizer()}.items()
    }  # the files may be damaged next


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_calendar_knows_which_step_is_in_which_round() -> None:
    images = RealImages(SOURCE, 32, seed=0)
    assert (images.size, images.per_epoch) == (60 + 359, 13)
    calendar = Calendar.of(CONFIG, images)
    assert (calendar.warmup, calendar.steps, calendar.total) == (1, 2, 7)
    assert [calendar.round_of(step) for step in (0, 1, 2, 3, 5, 6)] == [-1, 0, 0, 1, 2, 2]
    half = Calendar.of(
        dataclasses.replace(CONFIG, gan=dataclasses.replace(GAN, critic_steps=2)), images
    )
    assert (half.per_epoch, half.warmup, half.steps) == (6, 1, 1)


def test_real_images_are_seen_once_an_epoch_and_divided_among_ranks() -> None:
    images = RealImages(SOURCE, 64, seed=3)
    epoch = torch.cat([images.batches(step, 2)[part] for step in range(3) for part in range(2)])
    assert len({row.numpy().tobytes() for row in epoch}) == 6 * 64
    whole = images.batches(4, 1)[0]
    parts = [images.batches(4, 1, rank=rank, world_size=2)[0] for rank in range(2)]
    assert torch.equal(torch.stack(parts, dim=1).flatten(0, 1), whole)
    assert float(whole.min()) >= -1
    with pytest.raises(
        ValueError, match=r"419 images, too few for one batch of 500: lower gan.discriminator_batch"
    ):
        RealImages(SOURCE, 500, seed=0)


@pytest.mark.parametrize("stage", [generators, pairs], ids=["generators", "pairs"])
def test_a_stage_that_was_stopped_ends_with_the_weights_of_one_that_was_not(
    stage: Any, tmp_path: Path
) -> None:
    space = stage().space
    rounds = [Round(some(space, 2, seed), origins) for seed, origins in ((1, ()), (2, (1, 1)))]
    for number in range(3):
        StageTraining(stage(), rounds[:number], folder=tmp_path / "rounds").run()
    StageTraining(stage(), rounds, folder=tmp_path / "whole").run()
    whole = weights(tmp_path / "whole")
    assert same(weights(tmp_path / "rounds"), whole)
    for name in sorted(p.name for p in (tmp_path / "whole").glob("step-*"))[-1:]:
        (tmp_path / "whole" / name / "weights.safetensors").write_bytes(b"cut off")
    StageTraining(
        stage(), rounds, folder=tmp_path / "whole"
    ).run()  # the damaged one is set aside, the one before it used
    assert same(weights(tmp_path / "whole"), whole)


def test_a_checkpoint_of_another_seed_is_refused(tmp_path: Path) -> None:
    StageTraining(generators(), [], folder=tmp_path).run()
    with pytest.raises(ValueError, match=r"of another training \(seed 5, not 6\)"):
        StageTraining(dataclasses.replace(generators(), seed=6), [], folder=tmp_path).run()  # type: ignore[type-var]


def test_pairs_are_reset_to_one_generator_or_follow_their_own(tmp_path: Path) -> None:
    first = Round(some(D, 2, 1))
    StageTraining(pairs(), [first], folder=tmp_path / "reset").run()
    before = weights(tmp_path / "reset")
    assert not same(part_of(before, "generator-0"), part_of(before, "generator-1"))
    training = StageTraining(
        pairs(), [first, Round(some(D, 2, 2), (1,))], folder=tmp_path / "reset"
    )
    training._loop.load_newest()
    training._begin(training._loop.next_step)
    for index in range(2):
        kept = training._game.players[f"generator-{index}"].network.state_dict()
        assert all(
            torch.equal(tensor, before[f"generator-1.{name}"]) for name, tensor in kept.items()
        )
    followed = StageTraining(
        pairs(), [first, Round(some(D, 2, 2), (1, 0), resets=False)], folder=tmp_path / "reset"
    )
    followed._loop.load_newest()
    followed._begin(followed._loop.next_step)
    for index in range(2):
        kept = followed._game.players[f"generator-{index}"].network.state_dict()
        assert all(
            torch.equal(tensor, before[f"generator-{1 - index}.{name}"])
            for name, tensor in kept.items()
        )


def test_shares_train_their_own_pairs_and_are_averaged(tmp_path: Path) -> None:
    stage, rounds = pairs(4), [Round(some(D, 4, 1))]
    StageTraining(stage, [], folder=tmp_path).run()
    before = checkpoints.latest(tmp_path)
    assert before is not None
    found = [
        StageTraining(pairs(4), rounds, folder=tmp_path).run_share(RoundPart(index, 2), 3)
        for index in range(2)
    ]
    assert sum(len(share["losses"]) for share in found) == 2
    together = merged(before.weights(), [share["weights"] for share in found])
    assert together.keys() == before.weights().keys()
    for name, tensor in together.items():
        if name.startswith("generator-"):
            assert torch.equal(tensor, found[int(name[10]) % 2]["weights"][name])
    name = "discriminators.stem.first.weight"
    trained = [
        s["weights"][name]
        for s in found
        if not torch.equal(s["weights"][name], before.weights()[name])
    ]
    assert trained
    assert torch.allclose(together[name], torch.stack(trained).mean(dim=0))


def test_the_average_of_a_final_training_is_in_its_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(2)
    gan = dataclasses.replace(GAN, average_decay=0.5)
    config = dataclasses.replace(CONFIG, gan=gan, warmup_epochs=0.0, rounds=1)
    members = some(G, 1)
    generator, discriminator = G.build_subnet(None, members[0]), D.build_subnet(None, some(D, 1)[0])
    StageTraining(
        FinalStage(G, SOURCE, config, G.latent, 1, generator, discriminator),
        [Round(members)],
        folder=tmp_path,
    ).run()
    stored = weights(tmp_path)
    average, trained = part_of(stored, "average"), part_of(stored, "generator")
    assert set(average) == {
        n for n in trained if not n.endswith(("/exp_avg", "/exp_avg_sq", "/step"))
    }
    assert not torch.equal(average["head.weight"], trained["head.weight"])
