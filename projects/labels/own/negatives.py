"""Images in which there is nothing to find, and of them those in which a model finds something."""

from __future__ import annotations

from pathlib import Path

from ...files.replacing import write_json
from ...files.sources import image_files


def write_negatives(
    folder: str | Path, out: Path, hard_by: str | Path | None = None, score: float = 0.3
) -> tuple[Path, int]:
    """Write ``out/negatives.json``: frames without labels.

    Args:
        folder: The images.
        out: Where to write.
        hard_by: Predictions for them (det.json); None takes all images.
        score: Of the predictions, those from this score on count.

    Returns:
        The file, and how many images it has.

    Raises:
        ValueError: There is no image, or none in which something is found.
        LabelFileError: The predictions cannot be read.
    """
    folder = Path(folder)
    names = sorted(path.relative_to(folder).as_posix() for path in image_files(folder))
    if not names:
        raise ValueError(f'{folder}: no image there (--negatives)')
    if hard_by is not None:
        from ...bdd100k.categories import ANY
        from ...bdd100k.columns import read_columns

        found = read_columns(hard_by, ANY)
        hard = {found.names[row] for row in found.frame[found.score >= score]}
        chosen = [name for name in names if name in hard]
        if not chosen:
            raise ValueError(
                f'{hard_by}: in none of the {len(names)} images of {folder}, such as {names[0]}, anything is '
                f'found with a score of {score:g} or more; its images are such as {next(iter(found.names), None)}'
            )
        names = chosen
    file = out / 'negatives.json'
    write_json(file, [dict(name=name, labels=[]) for name in names], indent=1)
    return file.resolve(), len(names)
