"""ASR Lens: what one-shot pruning breaks in a CNN, and what each training-free repair mends."""
