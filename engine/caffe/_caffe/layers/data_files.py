"""Layers that read files."""
