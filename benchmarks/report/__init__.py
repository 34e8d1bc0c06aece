"""The static page of ``gssl report``: stored rows, their statistics, charts, and the files of the site."""
