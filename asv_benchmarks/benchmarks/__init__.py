"""Benchmarks of skreg for airspeed velocity; run ``asv run`` in the folder above."""
