"""The report: one HTML file about a run's folder."""

from gradcam.command.report.writing import write

__all__ = ["write"]
