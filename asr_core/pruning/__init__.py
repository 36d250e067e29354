"""Pruning rules: one file each."""
