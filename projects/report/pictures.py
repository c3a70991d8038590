"""The images behind a report: where they are, how large, and small copies of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from ..files import ImageError, read_image
from .page import Page
from .track import Track, in_parallel, silent

#: The size that boxes are drawn on where there is no image (that of BDD100K).
SIZE = 1280, 720
_TURNED = (5, 6, 7, 8)  #: EXIF orientations that swap width and height


@dataclass
class Pictures:
    """The images of a report, in its order."""

    files: list[Path | None]  #: None where there is none
    sizes: list[tuple[int, int]]  #: width and height
    thumbnails: bool = False
    missing: list[str] = field(default_factory=list)  #: what cannot be used, and why

    def links(self, out: Path) -> dict:
        """How the page finds them: from its folder, escaped for a link."""
        out = out.resolve()
        links = [f and quote(Path(os.path.relpath(f.resolve(), out)).as_posix()) for f in self.files]
        common = os.path.commonprefix([link for link in links if link])
        common = common[: common.rfind('/') + 1]
        return dict(
            base=common,
            files=[link and link[len(common) :] for link in links],
            thumbnails=self.thumbnails,
        )


def find_pictures(
    names: Sequence[str],
    folder: str | Path | None,
    videos: Sequence[str | None] | None = None,
    track: Track = silent,
) -> Pictures:
    """The images of a folder by name; below a folder of their video's name where they are not there.

    An image that is missing or broken is listed, and the report is made without it.

    Raises:
        FileNotFoundError: There is no such folder, or none of the images is in it.
    """
    if folder is None:
        return Pictures([None] * len(names), [SIZE] * len(names))
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder}: no such folder of images')
    found = Pictures([], [])
    for i, name in enumerate(track(names, 'Looking at images')):
        places = [folder / name]
        if videos is not None and videos[i]:
            places.append(folder / videos[i] / name)
        path = next((place for place in places if place.is_file()), None)
        size = None
        if path is None:
            found.missing.append(f'{places[0]}: no such image')
        else:
            try:
                size = image_size(path)
            except ImageError as error:
                found.missing.append(str(error))
        found.files.append(path if size else None)
        found.sizes.append(size or SIZE)
    if names and not any(found.files):
        raise FileNotFoundError(f'{found.missing[0]}, and none of the {len(names)} others is in {folder}')
    return found


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of an image file as it is shown (turned as its EXIF entry says).

    Raises:
        ImageError: Not an image; names it.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            turned = image.getexif().get(0x0112) in _TURNED
            return image.size[::-1] if turned else image.size
    except Exception as error:  # damaged files make Pillow raise nearly anything
        raise ImageError(f'{path}: not an image that can be read ({error})') from error


def write_thumbnails(
    page: Page,
    pictures: Pictures,
    width: int,
    track: Track = silent,
) -> None:
    """Write a JPEG of at most ``width`` pixels' width of every image, named by its number."""
    import cv2

    def write(row: int) -> str | None:
        path = pictures.files[row]
        if path is None:
            return None
        try:
            image = read_image(path)
        except (OSError, ImageError) as error:
            return str(error)
        height = max(1, round(image.shape[0] * width / image.shape[1]))
        if image.shape[1] > width:
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 82])[1]
        page.picture(f'{row}.jpg').write_bytes(data)
        return None

    problems = in_parallel(write, range(len(pictures.files)), track, 'Writing thumbnails')
    for row, problem in enumerate(problems):
        if problem:
            pictures.missing.append(problem)
            pictures.files[row] = None
    pictures.thumbnails = True
