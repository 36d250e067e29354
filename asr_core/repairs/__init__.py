"""Repairs: methods, applying them, BatchNorm recalibration."""
