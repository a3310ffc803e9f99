"""What weights, data layers, scoring and small nets cost: one program each, see `make bench-parts`."""
