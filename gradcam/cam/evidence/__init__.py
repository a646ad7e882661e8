"""The evidence that methods ask for, each a small function of a tapped layer and its run."""

from gradcam.cam.evidence import reruns, tape
from gradcam.cam.evidence.registry import EVIDENCE, Evidence, check, gathered

__all__ = ["EVIDENCE", "Evidence", "check", "gathered", "reruns", "tape"]
