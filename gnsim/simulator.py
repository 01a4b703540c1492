"""One simulator for the true system, the learned network and the distilled law."""
