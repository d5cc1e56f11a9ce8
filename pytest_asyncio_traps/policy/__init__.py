"""What becomes of a finding: rules, markers, filters of warnings, and the hooks of others."""
