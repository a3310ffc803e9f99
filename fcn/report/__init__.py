"""A scored run as one page for people: numbers, images to look into, classes, curves, recipe, checks."""
