"""paraedge: a parameterized benchmark suite for edge accelerators."""

__version__ = "0.1.0"
