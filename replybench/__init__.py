"""Replybench: what all its parts share, and the command line. The map is docs/ARCHITECTURE.md."""

from importlib.metadata import version

__version__ = version("replybench")
