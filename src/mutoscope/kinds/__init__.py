"""What the verbs do differently for skeleton motion and for video from action graphs."""

from mutoscope.kinds.base import KindTools
from mutoscope.structures import Kind


def tools(kind: Kind) -> KindTools:
    """How data of this kind are measured, shown, evaluated and asked for.

    Raises:
        ValueError: for a kind that no verb knows yet.
    """
    # imported here: each brings metrics and drawing that the others do not need
    if kind == "motion":
        from mutoscope.kinds.motion.tools import MotionTools

        return MotionTools()
    if kind == "action_graph":
        from mutoscope.kinds.action_graph.tools import ActionGraphTools

        return ActionGraphTools()
    raise ValueError(f"Nothing here measures or draws data of kind '{kind}' yet; expected motion or action_graph.")


__all__ = ["KindTools", "tools"]
