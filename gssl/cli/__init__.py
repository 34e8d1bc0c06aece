"""The command line: one short file per command, nothing heavy imported before it is needed."""
