"""Lightning callbacks; none of them knows a model by name."""
