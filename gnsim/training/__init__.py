"""The fit: the loss through the integrator, its couplings, and runs that survive a kill."""
