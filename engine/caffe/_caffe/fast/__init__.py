"""The fast path: what a net computes, by other algorithms, with the results of the reference path."""
