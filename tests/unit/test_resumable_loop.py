"""The loop around every training, with a learner that only counts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from evoray.training import checkpoints
from evoray.training.config import TrainConfig
from evoray.training.metrics_log import Length
from evoray.training.process_group import SingleProcess
from evoray.training.resumable_loop import ResumableLoop, StepReport

LENGTH = Length(steps=6, steps_per_epoch=2, batch_size=4)
OPTIONS = TrainConfig(log_every_steps=1, checkpoint_every_seconds=0.0, keep_checkpoints=9)


class Counting:
    """Counts the steps that it has trained; some are lost the first time."""

    advice = "count slower"

    def __init__(self, lost: Sequence[int] = (), again: int = 1) -> None:
        self.count, self.begun, self.calls = 0.0, 0, list[tuple[int, int]]()
        self._lost = dict.fromkeys(lost, again)

    def train(self, step: int, restarts: int) -> StepReport | None:
        self.calls.append((step, restarts))
        if self._lost.get(step, 0):
            self._lost[step] -= 1
            return None
        self.count += 1
        return StepReport([("whole", self.count)], 0.5, {"noted": {"step": float(step)}})

    def weights(self) -> dict[str, torch.Tensor]:
        return {"count": torch.tensor([self.count])}

    def optimizer(self) -> dict[str, torch.Tensor]:
        return {"half": torch.tensor([self.count / 2])}

    def state(self) -> dict[str, Any]:
        return {"name": "counting"}

    def load(self, checkpoint: checkpoints.Checkpoint) -> None:
        assert checkpoint.state["name"] == "counting"
        self.count = 2 * checkpoint.optimizer()["half"].item()

    def begin(self) -> None:
        self.count, self.begun = 0.0, self.begun + 1


def loop_of(learner: Any, folder: Path | None, seed: int = 1) -> ResumableLoop:
    return ResumableLoop(
        learner,
        LENGTH,
        OPTIONS,
        seed=seed,
        folder=folder,
        group=SingleProcess(),
        device=torch.device("cpu"),
    )


def test_a_training_goes_on_where_another_process_stopped(tmp_path: Path) -> None:
    loop_of(Counting(), tmp_path).run(until=4)
    learner = Counting()
    loop_of(learner, tmp_path).run()
    assert learner.calls == [(4, 0), (5, 0)]
    assert learner.count == 6
    text = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["step"], line["loss"]["whole"]) for line in lines] == [
        (step, float(step)) for step in range(1, 7)
    ]
    assert (lines[-1]["epoch"], lines[-1]["images"]) == (3.0, 24)
    assert lines[-1]["noted"] == {"step": 5.0}
    with pytest.raises(ValueError, match=r"of another training \(seed 1, not 2\)"):
        loop_of(Counting(), tmp_path, seed=2).run()


def test_a_lost_step_is_trained_again_with_other_draws(tmp_path: Path) -> None:
    learner = Counting(lost=[3])
    loop_of(learner, tmp_path).run()
    assert learner.calls == [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (4, 1), (5, 1)]
    assert (learner.count, learner.begun) == (6, 1)
    resumed = loop_of(Counting(), tmp_path)
    resumed.load_newest()
    assert (resumed.next_step, resumed.restarts) == (6, 1)
    without_folder = Counting(lost=[2])
    loop_of(without_folder, None).run()
    assert [step for step, _ in without_folder.calls] == [0, 1, 2, 0, 1, 2, 3, 4, 5]


def test_what_is_lost_again_and_again_ends_with_advice(tmp_path: Path) -> None:
    learner = Counting(lost=[1], again=9)
    with pytest.raises(RuntimeError, match=r"at step 2, after 3 restarts; count slower"):
        loop_of(learner, tmp_path).run()
    assert [restarts for step, restarts in learner.calls if step == 1] == [0, 1, 2, 3]


def test_a_checkpoint_from_before_draws_were_written_is_read(tmp_path: Path) -> None:
    tensors = {"half": torch.tensor([1.0])}
    state = {"step": 2, "steps": 6, "seed": 1, "name": "counting"}
    checkpoints.save(tmp_path, {"count": torch.tensor([2.0])}, tensors, state, keep=2)
    learner = Counting()
    loop_of(learner, tmp_path).run()
    assert learner.calls[0] == (2, 0)
    assert learner.count == 6
