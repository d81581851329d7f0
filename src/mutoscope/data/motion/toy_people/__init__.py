"""A procedural world of people: random bodies and styles perform named actions, by forward and inverse kinematics."""

from mutoscope.data.motion.toy_people.actions import ACTIONS
from mutoscope.data.motion.toy_people.world import WORLD_VERSION, joint_columns, perform

__all__ = ["ACTIONS", "WORLD_VERSION", "joint_columns", "perform"]
