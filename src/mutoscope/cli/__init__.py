"""The command line: verbs with Hydra around them, sweeps, jobs and their processes."""
