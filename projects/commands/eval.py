"""Score BDD100K predictions: the numbers, table and JSON of python -m bdd100k.eval.run.

mmroad eval -t det -g GT.json -r OUT/det.json
"""

from ..bdd100k.eval.__main__ import add_arguments, check, run

__all__ = ['add_arguments', 'check', 'run']
