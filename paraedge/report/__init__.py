"""Numbers become figures and a page that a person wants to read."""

from paraedge.report.page import write_report

__all__ = ["write_report"]
