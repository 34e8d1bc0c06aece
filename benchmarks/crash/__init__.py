"""Kills commands at random points, and checks that nothing was lost or done twice."""
