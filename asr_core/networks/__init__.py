"""Networks: architectures, weights from any file, training."""
