"""The report: one self-contained HTML page, and its plots."""

from echosyn.pipeline.report.page import Media, render

__all__ = ["Media", "render"]
