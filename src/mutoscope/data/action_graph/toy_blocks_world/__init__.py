"""A small world of solids on a floor that move as CATER's do, filmed by CATER's camera."""

from mutoscope.data.action_graph.toy_blocks_world.choreography import Play, perform
from mutoscope.data.action_graph.toy_blocks_world.film import Film
from mutoscope.data.action_graph.toy_blocks_world.light import Lamps
from mutoscope.data.action_graph.toy_blocks_world.tree import WORLD_VERSION, Order, make, scene_of, write_list

__all__ = ["WORLD_VERSION", "Film", "Lamps", "Order", "Play", "make", "perform", "scene_of", "write_list"]
