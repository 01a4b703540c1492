"""Real data, a benchmark, and particles that engines of others simulate."""
