"""What every trap and loop builds on; the standard library only, nothing of pytest."""
