"""BDD100K's official scores, number for number, many times faster: ``python -m mmroad.bdd100k.eval``."""
