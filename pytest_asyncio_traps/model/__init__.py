"""Findings, places and owners, and pure functions on them.

Imports nothing from the rest of the package.
"""
