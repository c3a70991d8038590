"""Tracking of boxes: models and trackers, videos, and the formats of tracks.

Importing this imports nothing heavy; ``mmroad.tracking.models`` registers what configs name.
"""
