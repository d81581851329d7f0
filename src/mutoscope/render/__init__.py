"""Structures -> pixels and pages."""

from mutoscope.render.action_graph import action_colours, draw_graph, draw_timeline, object_colours
from mutoscope.render.boxes import draw_boxes, side_by_side
from mutoscope.render.camera import FOLLOWING, FRONT, THREE_QUARTER, Bounds, Camera
from mutoscope.render.canvas import grid
from mutoscope.render.page.charts import Chart
from mutoscope.render.page.report import Report
from mutoscope.render.page.tables import Column
from mutoscope.render.sheet import SheetRow, contact_sheet, save_motion_gallery, save_png
from mutoscope.render.skeleton import draw_motion, draw_strobe

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
    "action_colours",
    "contact_sheet",
    "draw_boxes",
    "draw_graph",
    "draw_motion",
    "draw_strobe",
    "draw_timeline",
    "grid",
    "object_colours",
    "save_motion_gallery",
    "save_png",
    "side_by_side",
]
