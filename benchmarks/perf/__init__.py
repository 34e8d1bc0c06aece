"""Speed and memory against other libraries, as ratios: ``gssl perf NAME``."""
