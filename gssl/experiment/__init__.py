"""One configuration carried out: pretrain, embed, judge and store, seed by seed."""
