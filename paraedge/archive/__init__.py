"""A campaign's folder: append-only tables with a sidecar; write, resume, repair, read."""

from paraedge.archive.columns import Cell
from paraedge.archive.read import Campaign, read_campaign
from paraedge.archive.row import Key, Row, make_row
from paraedge.archive.write import Archive

__all__ = ["Archive", "Campaign", "Cell", "Key", "Row", "make_row", "read_campaign"]
