"""Video from action graphs: graphs and first frames in, clips out, measured against the true clips."""
