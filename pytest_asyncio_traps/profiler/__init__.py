"""Samples slow steps of a loop from another thread."""
