"""What a run tells people: one page, one text, one set of numbers."""

from gnsim.report.page import write_report
from gnsim.report.scores import metrics
from gnsim.report.text import summary

__all__ = ["metrics", "summary", "write_report"]
