"""Archives for BDD100K's test servers, from the folders that the metrics write."""

from __future__ import annotations

import zipfile
from pathlib import Path

from ..files import replacing
from .scalabel import LabelFileError

#: Task -> what its server takes of a folder of predictions: a folder of PNG files, and files beside it.
PARTS = {
    'sem_seg': ('masks', ()),
    'drivable': ('masks', ()),
    'ins_seg': ('bitmasks', ('score.json',)),
    'det': (None, ('det.json',)),
}


def zip_predictions(folder: str | Path, task: str, path: str | Path) -> Path:
    """Pack predictions as the server of a task takes them.

    Args:
        folder: What ``mmroad test --format-dir`` wrote.
        task: ``sem_seg``, ``drivable`` (masks alone), ``ins_seg`` (bitmasks and their scores) or ``det``.
        path: The archive, a ``.zip`` file.

    Returns:
        ``path``.

    Raises:
        LabelFileError: A task without a server, or a part is missing; names it.
    """
    if task not in PARTS:
        raise LabelFileError(f'{task}: there is no test server; it takes {", ".join(PARTS)}')
    if Path(path).suffix != '.zip':
        raise LabelFileError(f'{path}: an archive for the server ends in .zip')
    pictures, files = PARTS[task]
    found = [Path(folder, name) for name in files]
    if pictures:
        found += sorted(Path(folder, pictures).glob('[!.]*.png'))
    missing = [str(file) for file in found[: len(files)] if not file.is_file()]
    if pictures and len(found) == len(files):
        missing.append(f'{Path(folder, pictures)}/*.png')
    if missing:
        raise LabelFileError(
            f'{", ".join(missing)}: not there. Write predictions with mmroad test CONFIG CHECKPOINT --format-only '
            f'--format-dir {folder}'
        )
    with replacing(path) as part, zipfile.ZipFile(part, 'w', zipfile.ZIP_STORED) as archive:
        for file in found:  # PNG files are packed already
            kind = zipfile.ZIP_STORED if file.suffix == '.png' else zipfile.ZIP_DEFLATED
            name = file.name if len(files) == 0 else file.relative_to(folder).as_posix()
            archive.write(file, name, kind)
    return Path(path)
