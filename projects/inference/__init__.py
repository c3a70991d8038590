"""Running models on images, folders, globs and videos: one inferencer for each task."""
