"""Several scores of the same images side by side, with intervals from resampled images."""
