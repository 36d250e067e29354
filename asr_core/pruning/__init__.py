"""Pruning: rules, masks, the budget solver, repairability."""
