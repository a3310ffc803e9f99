"""Benchmarks beside other libraries; see README.md in this folder."""
