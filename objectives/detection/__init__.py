"""Scores of detected texts: protocols of the field on annotated regions and detections.

    from objectives.detection import score, summary
    score(annotations, detections, "icdar2015").hmean
    summary(annotations, detections).f_mean

`protocols` names them all.
"""

from __future__ import annotations

from objectives.detection.evaluation import Summary, prepared, score, summary
from objectives.detection.ground_truth import GroundTruth
from objectives.detection.objective import DetectionQuality, build
from objectives.detection.overlaps import Overlaps
from objectives.detection.scores import ImageScores, Scores

__all__ = [
    "DetectionQuality",
    "GroundTruth",
    "ImageScores",
    "Overlaps",
    "Scores",
    "Summary",
    "build",
    "prepared",
    "score",
    "summary",
]
