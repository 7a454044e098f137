"""Training what ships and what users make: one loop, one recipe per model."""
