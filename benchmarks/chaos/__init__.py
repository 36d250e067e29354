"""`python -m benchmarks.chaos`: what goes wrong in real life, done for real on a small store, and what was lost by it.

One module per kind of fault; each function of FAULTS tries one fault a number of times and returns a `tally.Tally`.
"""
