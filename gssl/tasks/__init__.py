"""What is judged: nodes, graphs, links or clusters; each task owns the items, splits, labels and scores of its kind."""
