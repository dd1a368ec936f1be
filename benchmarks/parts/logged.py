"""An objective that writes down what it measures, so that a benchmark can count what is measured
twice.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

import torch

from objectives.base import Candidate, Goal, Needs

LOG = "EVORAY_KILLS_LOG"


@dataclass(frozen=True, kw_only=True)
class Logged:
    """Appends each key to the file that the environment names, and sleeps a little; its value says
    nothing.
    """

    name: str = "logged"
    unit: str = ""
    goal: Goal = Goal.MINIMIZE
    needs: Needs = field(default_factory=Needs)

    def open(self, device: torch.device) -> None:
        """Nothing to open."""

    def measure(self, candidate: Candidate) -> float:
        with open(os.environ[LOG], "a", encoding="utf-8") as stream:
            stream.write(candidate.architecture.key + "\n")
        time.sleep(0.05)
        return 0.0


LOGGED = Logged()
