"""A failure in any function of the plugin: what puts it there, and the suite that meets it."""
