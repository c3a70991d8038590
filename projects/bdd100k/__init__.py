"""BDD100K: Scalabel files, their datasets and their evaluation."""
