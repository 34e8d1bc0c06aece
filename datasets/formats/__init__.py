"""Readers of files and folders that people bring, one format each."""
