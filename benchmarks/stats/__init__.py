"""Statistics of a leaderboard: spread, intervals, paired tests, ranks, cost and agreement; pure functions."""
