import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


import pytest  # noqa: E402


@pytest.fixture(autouse=True, scope='session')
def no_report_of_the_machine():
    """mmengine calls compilers to log their versions: most of the time of a training of milliseconds."""
    from mmengine.runner import runner

    collect, runner.collect_env = runner.collect_env, dict
    yield
    runner.collect_env = collect
