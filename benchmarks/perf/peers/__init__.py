"""Training steps of other libraries and of the authors' own code, one file for each place that the code is from."""
