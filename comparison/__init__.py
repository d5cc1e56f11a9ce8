"""What other tools catch of the same traps. ``python -m comparison`` finds out."""
