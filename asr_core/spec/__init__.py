"""What an experiment IS."""
