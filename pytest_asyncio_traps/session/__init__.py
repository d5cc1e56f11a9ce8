"""The life of a run: what is armed, whose time it is, and the way of a finding."""
