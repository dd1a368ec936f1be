"""The subnet-sampler contract, for every file of evoray/training/samplers/."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import searchspaces
from evoray.training import samplers
from searchspaces.base import canonical_keys, largest, smallest

NAMES = samplers.names()
SPACE = searchspaces.load("bignas:digits")
SHORT = samplers.Horizon(
    epochs=4, steps_per_epoch=1
)  # so that options which open over a warm-up are open after a step


def keys(name: str, seed: int = 3, steps: int = 5) -> list[list[str]]:
    sampler = samplers.load(name, SPACE, seed=seed, num_random=2, horizon=SHORT)
    return [[a.key for a in sampler.sample(step)] for step in range(steps)]


def test_every_process_draws_the_same() -> None:
    program = (
        "import json, searchspaces; from evoray.training import samplers; space = "
        "searchspaces.load('bignas:digits'); "
        "short = samplers.Horizon(epochs=4, steps_per_epoch=1); "
        "all = {n: samplers.load(n, space, seed=3, num_random=2, horizon=short) for n in "
        "samplers.names()}; "
        "print(json.dumps({n: [[a.key for a in s.sample(i)] for i in range(5)] for n, s in "
        "all.items()}))"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(output) == {name: keys(name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_seeds_and_steps_decide(name: str) -> None:
    assert keys(name) != keys(name, seed=4)
    assert len({tuple(step) for step in keys(name)}) > 1


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_sampler_goes_on_as_the_original(name: str) -> None:
    sampler = samplers.load(name, SPACE, seed=3, num_random=2)
    for step in range(4):
        drawn = sampler.sample(step)
        sampler.feedback(drawn, [1.0] * len(drawn))
    copy = samplers.load(name, SPACE, seed=3, num_random=2)
    copy.restore(json.loads(json.dumps(sampler.state())))
    assert [a.key for a in copy.sample(4)] == [a.key for a in sampler.sample(4)]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_drawn_is_canonical(name: str) -> None:
    import numpy as np

    for architecture in samplers.load(name, SPACE, seed=3, num_random=4).sample(0):
        row = np.array([architecture.choices], dtype=np.int16)
        assert (SPACE.repair(row) == row).all()
        assert canonical_keys(SPACE, row) == [architecture.key]


def test_the_sandwich_has_the_biggest_first_and_the_smallest_last() -> None:
    drawn = samplers.load("sandwich", SPACE, seed=0, num_random=2).sample(7)
    assert (drawn[0], drawn[-1], len(drawn)) == (largest(SPACE), smallest(SPACE), 4)
    alone = samplers.load("sandwich", SPACE, seed=0, num_random=0).sample(7)
    assert list(alone) == [largest(SPACE), smallest(SPACE)]


def test_an_unknown_sampler_is_named_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'sandwich'"):
        samplers.load("sandwhich", SPACE, seed=0, num_random=2)
