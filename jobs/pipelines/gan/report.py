"""The report of a GAN search: the shared sections, and what collapsed in training."""

from __future__ import annotations

from collections.abc import Iterator

from evoray.records.run_folder import RunFolder
from evoray.report.markup import SECTIONS
from evoray.report.reading import RunView
from evoray.report.sections import Section, SystemReport
from jobs.pipelines.gan.run_files import read_collapses


def collapses(folder: RunFolder, run: RunView) -> Iterator[Section]:
    """Counts how often a generator was seen to collapse; no section where the run kept no such
    counts.
    """
    found = read_collapses(folder)
    if found is not None:
        rows = [("collapses noticed in training", len(found))]
        yield Section("Collapses", [SECTIONS.counts(rows, [], 0)])


REPORT = SystemReport(sections=(collapses,), pick_text=("make images with", "evoray sample RUN"))
