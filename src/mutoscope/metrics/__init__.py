"""Metrics as ``torchmetrics.Metric``: they eat plain tensors and reduce over processes by themselves."""
