"""Network and images into tables."""
