"""Training with several samplers, compared at equal steps and at equal seconds."""
