"""``mmroad check``, for an environment in which mmroad is not installed yet."""

import runpy
from pathlib import Path

runpy.run_path(str(Path(__file__).parents[1] / 'projects/commands/check.py'), run_name='__main__')
