"""The program from Python: what ``import gssl`` offers, imported when it is first used."""
