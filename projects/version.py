"""The version, in a file that needs no dependency to be read."""

__version__ = '0.1.0'
