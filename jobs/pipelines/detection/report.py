"""The report of a search of detectors: the shared sections, and pictures with what was found."""

from __future__ import annotations

from evoray.report.sections import SystemReport
from evoray.report.text_gallery import text_sections

REPORT = SystemReport(sections=(text_sections,))
