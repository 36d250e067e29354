"""The stages of an experiment, and the only place that knows their order."""
