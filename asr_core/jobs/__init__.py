"""What runs outside the web process."""
