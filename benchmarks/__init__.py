"""How fast and how frugal the engine is, measured: `python -m benchmarks` or `make bench`.

Against `straightforward`, the script a capable reader would write from the paper; against the limit,
the bare forward passes that the plan needs; and the peak memory of statistics and of the grid. All
times of one table come from one run on one machine, interleaved, as medians.
"""
