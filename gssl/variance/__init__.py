"""The instrument that measures what a sampler does to the gradient."""
