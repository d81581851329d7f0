"""Structures -> pixels and pages."""

from mutoscope.render.report import Chart, Column, Report
from mutoscope.render.sheet import SheetRow, contact_sheet, save_motion_gallery, save_png
from mutoscope.render.skeleton import FOLLOWING, FRONT, THREE_QUARTER, Bounds, Camera, draw_motion, draw_strobe, grid

__all__ = [
    "FOLLOWING",
    "FRONT",
    "THREE_QUARTER",
    "Bounds",
    "Camera",
    "Chart",
    "Column",
    "Report",
    "SheetRow",
    "contact_sheet",
    "draw_motion",
    "draw_strobe",
    "grid",
    "save_motion_gallery",
    "save_png",
]
