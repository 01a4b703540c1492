"""Dynamics with weights, and the pair potentials that they share with true systems and laws."""
