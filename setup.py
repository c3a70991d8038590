"""What setup.cfg cannot say: ``projects`` is installed as ``mmroad``, with every package below it."""

from setuptools import find_packages, setup

setup(
    packages=['mmroad', *(f'mmroad.{name}' for name in find_packages('projects')), 'mmroad.configs'],
    package_dir={'mmroad': 'projects', 'mmroad.configs': 'configs'},
    package_data={'mmroad.configs': ['**/*.py', '**/*.yml'], 'mmroad': ['**/*.json', 'report/page/*']},
)
