"""The commands of ``mmroad``."""
