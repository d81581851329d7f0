"""GLASS: learned global and local actions -> video that one can steer frame by frame (ECCV 2022)."""
