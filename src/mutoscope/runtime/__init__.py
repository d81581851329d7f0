"""What every program needs and no model: messages, files, caches, facts about a run."""
