"""From defaults, preset, file and flags to the one full configuration of a run."""
