"""Target selection: which nodes a mini-batch is about."""
