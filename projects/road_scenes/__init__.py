"""Small synthetic road scenes in BDD100K's layout: data for the quick start and the tests, made in seconds."""
