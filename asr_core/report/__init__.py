"""Numbers and findings into words."""
