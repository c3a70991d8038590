"""What a run goes over: an image, a folder, a glob or videos, in natural order."""

from __future__ import annotations

import glob
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .images import IMAGE_SUFFIXES, ImageError, is_image, read_image
from .outputs import OUTPUTS, noted_outputs

if TYPE_CHECKING:
    import numpy as np

#: Files of a folder that are taken for videos; a file or a glob's match of another name is tried.
VIDEO_SUFFIXES = (
    '.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.wmv', '.mpg', '.mpeg', '.ts', '.mts', '.m2ts', '.flv',
    '.3gp', '.3g2', '.ogv', '.vob', '.asf', '.gif', '.m2v', '.mjpg', '.mjpeg', '.h264', '.h265', '.f4v', '.mxf',
    '.divx',
)  # fmt: skip


class LeftOut(UserWarning):
    """Something of a source could not be used."""


class Item(NamedTuple):
    """An image file, or a video file."""

    name: str  #: an image's name; of a video, what its frames' names begin with
    path: Path
    is_video: bool


class Source:
    """Images and videos' frames, one after the other.

    Iterating gives names and images, BGR uint8 (H, W, 3); frames are named ``VIDEO_000000.jpg``. What cannot be
    read is left out, with a warning, and named in ``left_out``.

    Args:
        items: The images and videos.
        base: The folder that was searched, or that of the file.
        title: What the source is called.

    Raises:
        ValueError: Frames of two videos, or of a video and an image, would have one name; names both.
    """

    def __init__(self, items: Iterable[Item], base: Path, title: str) -> None:
        self.items, self.base, self.title = list(items), base, title
        self.left_out: dict[str, str] = {}
        videos: dict[str, Item] = {}
        for item in self.items:
            if item.is_video and videos.setdefault(item.name, item) is not item:
                raise ValueError(
                    f'{videos[item.name].path} and {item.path}: their frames would have the same names'
                )
        for item in self.items:
            video = videos.get(re.sub(r'_[0-9]{6,}\.jpg$', '', item.name)) if videos else None
            if video is not None and not item.is_video:
                raise ValueError(f'{item.path} has the name of a frame of {video.path}: run them apart')

    @property
    def files(self) -> list[Path]:
        """Every file."""
        return [item.path for item in self.items]

    @property
    def total(self) -> int | None:
        """How many images and frames there are; None where a video does not say."""
        counts = [frame_count(item.path) if item.is_video else 1 for item in self.items]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    def leave_out(self, name: str, reason: object) -> None:
        """Note and warn that something could not be used."""
        if name not in self.left_out:
            self.left_out[name] = reason = str(reason).strip() or type(reason).__name__
            warnings.warn(f'{name} is left out: {reason}', LeftOut, stacklevel=2)

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        return ((name, image) for _, name, image in self.frames())

    def frames(self) -> Iterator[tuple[Item, str, np.ndarray]]:
        """Items, names and images."""
        for item in self.items:
            if item.is_video:
                for index, image in enumerate(self._video(item)):
                    yield item, f'{item.name}_{index:06}.jpg', image
                continue
            try:
                image = read_image(item.path)
            except (OSError, ImageError) as error:
                self.leave_out(item.name, error)
                continue
            yield item, item.name, image

    def _video(self, item: Item) -> Iterator[np.ndarray]:
        import cv2

        video = cv2.VideoCapture(str(item.path))
        count, end = 0, 0.0
        try:
            while True:
                ok, image = video.read()
                if not ok:
                    break
                yield image
                count, end = count + 1, video.get(cv2.CAP_PROP_POS_MSEC) / 1000
        finally:
            fps = video.get(cv2.CAP_PROP_FPS)
            video.release()
        promised, end = frame_count(item.path), max(end, (count - 1) / fps if fps > 0 else 0)
        if not count:
            self.leave_out(item.name, f'{item.path}: not a video that can be read')
        elif promised is not None and count < promised:
            # Formats without an index promise length x rate, too many where the rate varies: there, time counts.
            if _has_index(item.path) or end * fps < promised - 2.5:
                self.leave_out(
                    f'{item.name} from frame {count} on',
                    f'{item.path}: {count} of {promised} frames can be read; the file is damaged or cut',
                )

    def videos(self) -> list[tuple[str, Source]]:
        """Names and sources of the videos that there are: each video file, and each folder's images, whose name is
        the folder's path inside this source, ``''`` for the source's own."""
        groups: dict[tuple[str, bool], list[Item]] = {}
        for item in self.items:
            name = item.name if item.is_video else item.name.rpartition('/')[0]
            groups.setdefault((name, item.is_video), []).append(item)
        videos = [(name, Source(items, self.base, self.title)) for (name, _), items in groups.items()]
        for _, video in videos:
            video.left_out = self.left_out
        return videos


def open_source(source: str | Path | Sequence[str | Path] | Source) -> Source:
    """The images and videos of a file, a folder, a glob or a list of files and folders.

    A folder is searched with its subfolders, without hidden files and without what earlier runs wrote there;
    its images are named by their paths inside it, those of a glob or a list by their paths below the folder
    that all share.

    Raises:
        FileNotFoundError: There is nothing, or a path of a list is not there.
        ImageError: One file was named, which is neither an image nor a video.
    """
    if isinstance(source, Source):
        return source
    if not isinstance(source, (str, os.PathLike)):
        return _open_list([Path(path) for path in source])
    path = Path(source)
    if path.is_file():
        item = _item(path, path.name)
        if item is None or (item.is_video and not _opens(path)):
            raise ImageError(f'{path}: not a video or an image that can be read')
        return Source([item], path.parent, str(source))
    if path.is_dir():
        base, files = path, _search(path, path)
        common = path
    else:
        base = _before_magic(path)
        found = [Path(match) for match in glob.glob(str(source), recursive=True)]
        files = [file for match in found if match.is_dir() for file in _search(match, base)]
        files += [file for file in found if file.is_file() and not _is_output(file, base)]
        common = Path(os.path.commonpath([file.parent for file in files])) if files else base
    names = {file: file.relative_to(common).as_posix() for file in files}
    in_order = sorted(names.items(), key=lambda pair: natural(pair[1]))
    return _source(in_order, common, base, str(source))


def _open_list(paths: list[Path]) -> Source:
    """The images and videos of files and folders, in the order that they are given, each once."""
    files: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f'{path}: there is no such file or folder')
        found = sorted(_search(path, path), key=lambda f: natural(f.as_posix())) if path.is_dir() else [path]
        files |= dict.fromkeys(file.absolute() for file in found)
    common = Path(os.path.commonpath([file.parent for file in files])) if files else Path()
    in_order = [(file, file.relative_to(common).as_posix()) for file in files]
    return _source(in_order, common, common, f'{len(files)} files')


def _source(files: Iterable[tuple[Path, str]], common: Path, base: Path, title: str) -> Source:
    """The images and videos among files, with their names below ``common``; other files are left out."""
    items, unknown = [], []
    for file, name in files:
        item = _item(file, name)
        items.append(item) if item else unknown.append(name)
    if not items:
        raise FileNotFoundError(
            f'{title}: no image ({", ".join(IMAGE_SUFFIXES)}) or video ({", ".join(VIDEO_SUFFIXES)}) there'
        )
    opened = Source(items, base, title)
    for name in unknown:
        opened.leave_out(name, f'{common / name}: neither an image nor a video')
    return opened


def image_files(folder: str | Path) -> list[Path]:
    """The images below a folder, in no order, without hidden files and without what earlier runs wrote
    there."""
    return [file for file in _search(Path(folder), Path(folder)) if is_image(file)]


def natural(name: str) -> list:
    """A key that sorts names as people count: 1, 2, 10; a folder's files stay together."""
    return [
        ([int(part) if i % 2 else part for i, part in enumerate(re.split('([0-9]+)', parts))], parts)
        for parts in name.split('/')
    ]


def frame_count(path: str | Path) -> int | None:
    """How many frames a video file says that it has; None where it says nothing."""
    import cv2

    count = cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT)
    return int(count) if 0 < count < 1e9 else None


def frame_rate(path: str | Path) -> float:
    """A video file's frames a second, 25 where it does not say."""
    import cv2

    rate = cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS)
    return rate if 0 < rate <= 1000 else 25.0


def _is_output(path: Path, base: Path) -> bool:
    """Whether a run of ours wrote a file, or a folder, below ``base``."""
    inside = path.relative_to(base) if path.is_relative_to(base) else path
    folders = [base / parent for parent in inside.parents]
    return path.name == OUTPUTS or any(
        path.relative_to(folder).parts[0] in noted_outputs(folder) for folder in folders
    )


def _search(folder: Path, base: Path) -> list[Path]:
    """Images, by their suffix or by trying, and videos, by their suffix, of a folder and those in it."""
    found = []
    for place, folders, files in os.walk(folder):
        noted = noted_outputs(place) if OUTPUTS in files else set()
        folders[:] = [name for name in folders if not name.startswith('.') and name not in noted]
        found += [
            Path(place, name)
            for name in files
            if not name.startswith('.')
            and name not in noted
            and (is_image(name) or name.lower().endswith(VIDEO_SUFFIXES) or _reads(Path(place, name)))
        ]
    return [] if folder != base and _is_output(folder, base) else found


def _before_magic(pattern: Path) -> Path:
    parts = pattern.parts
    first = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:first])


def _item(path: Path, name: str) -> Item | None:
    """What a file is: by its suffix, or by trying."""
    if is_image(path):
        return Item(name, path, False)
    if not path.name.lower().endswith(VIDEO_SUFFIXES):
        if _reads(path):
            return Item(name, path, False)
        if not _opens(path):
            return None
    return Item(name.removesuffix(path.suffix), path, True)


def _reads(path: Path) -> bool:
    """Whether a file is an image by its content."""
    import cv2

    return path.is_file() and cv2.haveImageReader(str(path))


def _opens(path: Path) -> bool:
    import cv2

    return cv2.VideoCapture(str(path)).isOpened()


def _has_index(path: Path) -> bool:
    """Whether a video's format (MP4, QuickTime, AVI) lists its frames, so that their number is no estimate."""
    with open(path, 'rb') as file:
        head = file.read(12)
    return head[4:8] in (b'ftyp', b'moov', b'mdat', b'wide', b'free') or head[:4] == b'RIFF'
