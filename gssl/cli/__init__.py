"""The command line: one short file per command; nothing heavy is imported before it is needed."""
