"""Comparisons and plots of rankings, for notebooks and terminals."""
