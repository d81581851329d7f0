"""What one can do with models: plain functions, config in, result out."""
