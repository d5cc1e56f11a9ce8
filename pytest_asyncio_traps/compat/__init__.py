"""Private parts and habits of other packages, one file for each."""
