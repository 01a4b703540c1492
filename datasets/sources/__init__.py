"""Real data: measured or fitted to measurements, not simulated here."""
