"""Compares the plugin with other tools: ``python -m comparison``."""
