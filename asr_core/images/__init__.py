"""Images: sources, folders, archives, decoding, splits."""
