"""Contract tests for authors of methods, encoders, augmenters, objectives, samplers and probes (needs pytest)."""
