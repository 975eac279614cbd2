"""The page kit: views and answers to one page that a reviewer can trust; imports no torch, no store, no statistics."""

from heatdrift.report.inputs import ReportInput
from heatdrift.report.page import render_html, write_report

__all__ = ["ReportInput", "render_html", "write_report"]
