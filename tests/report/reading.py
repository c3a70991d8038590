"""A report's data as Python reads it."""

import json
import re
from pathlib import Path


def data(folder, name):
    """The content of a data script."""
    text = Path(folder, 'data', f'{name}.js').read_text()
    return json.loads(re.fullmatch(r'Report\.put\("[\w-]+",(.*)\);\n', text, re.DOTALL)[1])
