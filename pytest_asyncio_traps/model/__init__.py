"""Findings, places and owners, and pure functions on them; imports nothing of the package."""
