"""Judging: named, versioned probes, which belong to the testbed and never to a method."""
