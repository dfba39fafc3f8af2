"""Benchmarks: what eventpipe costs, as ratios to plain scripts that do the same work in the same run."""
