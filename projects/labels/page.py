"""The page of a check: one HTML file with all in it, to open in a browser or to send."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files.images import ImageError, read_image
from ..files.replacing import write_text
from .check import Finding
from .form import LabelSet

#: Pictures of each finding, and their longer side in pixels.
PICTURES, SIDE = 6, 320
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#1c2330;background:#fff}
h1{font-size:1.5em}h2{font-size:1.1em;margin:1.6em 0 .4em}table{border-collapse:collapse}
td,th{padding:.2em .8em .2em 0;text-align:left;border-bottom:1px solid #e3e7ee}td.n{text-align:right}
.wrong{color:#b3261e}.look{color:#8a5a00}.bar{background:#3b6ea8;height:.7em;display:inline-block}
figure{display:inline-block;margin:.3em .6em .3em 0;vertical-align:top;width:320px}
figcaption{font-size:12px;overflow-wrap:anywhere;color:#555}img{max-width:320px;border:1px solid #ccc}
details{margin:.3em 0}
"""


def write_page(
    path: Path,
    title: str,
    sets: Mapping[str, LabelSet],
    numbers: Mapping[str, Mapping[str, Any]],
    found: Sequence[Finding],
) -> None:
    """Write the page.

    Args:
        path: The HTML file.
        title: Of the page, such as the data set's path.
        sets: The sets that were checked.
        numbers: Their `stats.statistics`.
        found: What `check.check` found.
    """
    parts = [f'<h1>Labels of {html.escape(title)}</h1>', _counts(numbers)]
    if not found:
        parts.append('<p>Nothing wrong was found.</p>')
    for finding in found:
        mark = 'wrong' if finding.wrong else 'look'
        parts.append(
            f'<h2><span class="{mark}">{mark}</span> {finding.count} {html.escape(finding.what)}</h2>'
        )
        parts.append(_pictures(finding, sets))
        names = [f'{split}: {name}' if split else name for split, name, _ in finding.places]
        more = f' (the first {len(names)} of {finding.count})' if finding.count > len(names) else ''
        items = ''.join(f'<li>{html.escape(name)}</li>' for name in names)
        parts.append(f'<details><summary>all of them{more}</summary><ul>{items}</ul></details>')
    body = '\n'.join(parts)
    head = f'<meta charset="utf-8"><title>Labels of {html.escape(title)}</title><style>{_STYLE}</style>'
    write_text(path, f'<!doctype html><html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n')


def _counts(numbers: Mapping[str, Mapping[str, Any]]) -> str:
    splits = list(numbers)
    heads = ''.join(f'<th>{html.escape(split or "all")}</th>' for split in splits)
    rows = [f'<tr><th></th>{heads}<th></th></tr>']
    for key, name in (
        ('images', 'images'),
        ('empty', 'without a box'),
        ('boxes', 'boxes'),
        ('crowds', 'crowds'),
    ):
        cells = ''.join(f'<td class="n">{numbers[split][key]}</td>' for split in splits)
        rows.append(f'<tr><td>{name}</td>{cells}<td></td></tr>')
    counts = {
        n: [numbers[s]['classes'].get(n, {}).get('boxes', 0) for s in splits]
        for s in splits
        for n in numbers[s]['classes']
    }
    most = max((sum(values) for values in counts.values()), default=0) or 1
    for name, values in counts.items():
        cells = ''.join(f'<td class="n">{value}</td>' for value in values)
        bar = f'<span class="bar" style="width:{200 * sum(values) / most:.0f}px"></span>'
        rows.append(f'<tr><td>{html.escape(name)}</td>{cells}<td>{bar}</td></tr>')
    return f'<table>{"".join(rows)}</table>'


def _pictures(finding: Finding, sets: Mapping[str, LabelSet]) -> str:
    shown = []
    for split, name, box in finding.places:
        labels = sets.get(split)
        if (
            len(shown) == PICTURES
            or labels is None
            or labels.folder is None
            or finding.kind in ('missing', 'lost')
        ):
            break
        picture = _picture(labels.folder / name, box)
        if picture:
            caption = html.escape(f'{split}: {name}' if split else name)
            shown.append(
                f'<figure><img alt="{caption}" src="{picture}"><figcaption>{caption}</figcaption></figure>'
            )
    return ''.join(shown)


def _picture(path: Path, box: list[float] | None) -> str | None:
    """An image as a data URL, small, with its box; None where it cannot be read."""
    import cv2

    try:
        image = read_image(path)
    except (OSError, ImageError):
        return None
    scale = SIDE / max(image.shape[:2])
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if box is not None:
        far = 4 * SIDE  # OpenCV takes no coordinates beyond 32 bits
        x1, y1, x2, y2 = (round(min(max(v * min(scale, 1), -far), far)) for v in box)
        cv2.rectangle(image, (x1, y1), (x2, y2), (40, 40, 255), 2)
    data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
    return 'data:image/jpeg;base64,' + base64.b64encode(data).decode()
