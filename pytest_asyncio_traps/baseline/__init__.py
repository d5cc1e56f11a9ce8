"""Accepted findings: the file, its comparison with a run, and its part in the run."""
