"""What users run: one small named file per model."""
