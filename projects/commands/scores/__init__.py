"""``mmroad scores ...``: anomaly scores saved, compared, filtered."""
