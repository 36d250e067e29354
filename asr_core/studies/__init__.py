"""Questions over many stored results."""
