"""The report of a co-search: the shared sections, the chip, and the methods beside each other."""

from __future__ import annotations

from evoray.report.chip import chip_sections
from evoray.report.sections import SystemReport

REPORT = SystemReport(sections=(chip_sections,), baseline=("comparison", "random", "ledger"))
