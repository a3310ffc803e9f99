"""Matrices of short convolutions: products are saved by transforming what is multiplied."""
