"""The pipeline of a search of text detectors: a supernet search, and pictures of what its best
network finds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from evoray.records.run_folder import RunFolder
from evoray.results.export import ExportedNetwork
from jobs.pipelines.detection.config import DetectionSearch
from jobs.pipelines.detection.pictures import write_pictures
from jobs.pipelines.detection.report import REPORT
from jobs.pipelines.supernet.config import SupernetSearch
from jobs.pipelines.supernet.pipeline import Run, SupernetPipeline
from jobs.terminal.progress import timed
from objectives.detection.objective import PREFIX, settings_of
from objectives.parts.text.decoding.settings import DecodingSettings
from objectives.parts.text.source import TextSource


class DetectionPipeline(SupernetPipeline):
    """A supernet of detectors that look twice is trained and searched."""

    config_type = DetectionSearch
    report = REPORT

    def run_phases(self, run: Run) -> None:
        super().run_phases(run)
        with timed(run.folder, "pictures"):
            write_pictures(run.folder, cast(TextSource, run.setup.source))

    def exported_networks(
        self, folder: RunFolder, config: SupernetSearch, pick: str
    ) -> tuple[ExportedNetwork, ...]:
        """With the settings by which its outputs are decoded."""
        (found,) = super().exported_networks(folder, config, pick)
        settings = vars(settings_of(decoding_of(found), DecodingSettings()))
        about = {**found.about, "decoding": dict(settings)}
        return (replace(found, about=about),)


def decoding_of(found: ExportedNetwork) -> dict[str, Any]:
    """The options of a network's decoding genes, by name."""
    genes = found.space.genes
    return {
        gene.name: gene.options[choice]
        for gene, choice in zip(genes, found.architecture.choices, strict=True)
        if gene.name.startswith(PREFIX)
    }


PIPELINE = DetectionPipeline()
