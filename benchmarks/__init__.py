"""Comparisons with peers and lower bounds; `make bench` runs them all."""
