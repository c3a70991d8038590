"""BDD100K box tracking: pairs of frames to train with, videos frame by frame to test with."""

from __future__ import annotations

import random
from pathlib import Path, PurePath

import numpy as np
from mmcv.transforms import TransformBroadcaster
from mmdet.registry import DATASETS
from mmengine.dataset import force_full_init

from ..files.images import ImageError
from .columns import Columns
from .dataset import BDD100KDetDataset
from .index import indexed_columns
from .scalabel import LabelFileError
from .track_columns import NONE, TRACK_CLASSES, TRACKS, TrackColumns


@DATASETS.register_module()
class BDD100KTrackDataset(BDD100KDetDataset):
    """Videos of box_track_20, or images of det_20 as pairs of themselves.

    An item is a frame. In training it comes with a reference frame of its video, drawn uniformly from those near it
    that share an object with it; a key frame without one is replaced by another, drawn at random. Images are
    pairs of themselves, as the published recipe has them. In test mode items are the frames, video after video.

    The pipeline gets what mmdet's tracking transforms take: a list of one or two values under every key. Ids begin
    with 1 and are those of the label file's tracks; frames are counted with those that have no object.

    Args:
        ann_file: Label file or folder; empty takes the folders below ``data_prefix['img']`` as videos.
        load_as_video: False for images of det_20, whose boxes are no tracks.
        frame_range: How many frames before and after the key frame the reference may be.
        data_prefix: ``dict(img=...)``; the images of a video are in a folder of its name.
        *args, **kwargs: As `BDD100KDetDataset`. ``filter_empty_gt`` leaves out key frames; frames without objects stay
            in their video.

    Raises:
        LabelFileError: As `BDD100KDetDataset`; or frames without a video, or one twice in a video.
    """

    METAINFO = dict(classes=TRACK_CLASSES, palette=BDD100KDetDataset.METAINFO['palette'])

    def __init__(self, *args, load_as_video: bool = True, frame_range: int = 3, **kwargs) -> None:
        if frame_range < 1:
            raise ValueError(f'frame_range={frame_range}: at least 1 frame before and after the key frame')
        self.load_as_video, self.frame_range = load_as_video, frame_range
        super().__init__(*args, **kwargs)

    # ------------------------------------------------------------------ reading

    def _labeled_images(self) -> Columns:
        if not self.load_as_video:
            return super()._labeled_images()
        columns = indexed_columns(self.ann_file, kind=TRACKS)
        columns.check_boxes()
        return columns

    def _unlabeled_images(self) -> Columns:
        columns = super()._unlabeled_images()
        if not self.load_as_video:
            return columns
        places = [PurePath(name) for name in columns.names]
        fields = vars(columns) | dict(
            names=[place.name for place in places],
            videos=[str(place.parent) for place in places],
            frame_index=np.full(len(places), NONE, np.int32),
            track=np.zeros(0, np.int32),
        )
        return TrackColumns(**fields)

    def _select(self) -> np.ndarray:
        """The rows of the frames to keep, video by video and by frameIndex."""
        rows = super()._select()
        if not self.load_as_video:
            return rows
        columns = self._columns
        by_video = columns.by_video()
        if None in by_video:
            row = by_video[None][0]
            raise LabelFileError(
                f'{columns.place(row)}: frame {columns.names[row]!r} has no videoName: is it the file of another '
                'task? For images that are no videos: load_as_video=False'
            )
        self._videos = list(by_video)
        order = []
        self._video, self._at = np.zeros((2, len(columns.names)), np.int32)
        for number, (video, found) in enumerate(by_video.items()):
            index = columns.frame_index[found]
            found = found[np.argsort(index, kind='stable')]
            if len(np.unique(index)) < len(index) and (index != NONE).any():
                raise LabelFileError(f'{columns.source}: video {video!r} has two frames of one frameIndex')
            self._video[found], self._at[found] = number, np.arange(len(found))
            order.append(found)
        self._starts = np.cumsum([0, *map(len, order)])
        self._order = np.concatenate(order)
        return self._order[np.isin(self._order, rows, assume_unique=True)]

    # ------------------------------------------------------------------- access

    def _path(self, row: int) -> str:
        folder, name = Path(self.data_prefix.get('img', '')), self._columns.names[row]
        if self.load_as_video and '/' not in name:
            return str(folder / self._columns.videos[row] / name)
        return str(folder / name)

    def img_path(self, idx: int) -> str:
        """Where the image of a sample is."""
        return self._path(self._frames[idx])

    @force_full_init
    def frame_keys(self) -> list[tuple[str | None, str]]:
        """What tells the frames of the samples apart, in their order: video and name."""
        return [(self._columns.videos[row], self._columns.names[row]) for row in self._frames]

    @force_full_init
    def video_lengths(self) -> list[int]:
        """How many samples each video has, in the order of the samples."""
        if not self.load_as_video:
            return [1] * len(self)
        return [n for n in np.bincount(self._video[self._frames], minlength=len(self._videos)).tolist() if n]

    def _ids(self, row: int) -> np.ndarray:
        """The tracks of a frame's boxes that count, from 1."""
        part = slice(self._first[row], self._first[row + 1])
        columns = self._columns
        counts = (self._labels[columns.category[part]] >= 0) & ~(columns.ignored[part] | columns.crowd[part])
        track = columns.track[part][counts]
        return track[track != NONE] + 1

    def _reference(self, row: int) -> int | None:
        """The row of a frame near another that shares an object with it; None where there is none."""
        if not self.load_as_video:
            return row
        video, at = self._video[row], self._at[row]
        start, stop = self._starts[video], self._starts[video + 1]
        near = range(max(at - self.frame_range, 0), min(at + self.frame_range + 1, stop - start))
        near = [place for place in near if place != at]
        random.shuffle(near)
        ids = set(self._ids(row).tolist())
        for place in near:
            other = int(self._order[start + place])
            if not ids.isdisjoint(self._ids(other).tolist()):
                return other
        return None

    def _frame(self, row: int) -> dict:
        """What the pipeline gets of one frame."""
        columns = self._columns
        part = slice(self._first[row], self._first[row + 1])
        labels = self._labels[columns.category[part]]
        ignore = columns.ignored[part] | columns.crowd[part]
        keep = labels >= 0
        if self.ignored == 'drop':
            keep &= ~ignore
        boxes = columns.xyxy[part][keep]
        boxes[:, 2:] += 1
        ids = columns.track[part][keep] if self.load_as_video else np.arange(len(boxes))
        instances = [
            dict(bbox=b, bbox_label=c, ignore_flag=i, instance_id=t)
            for b, c, i, t in zip(
                boxes.tolist(), labels[keep].tolist(), ignore[keep].astype(int).tolist(), (ids + 1).tolist()
            )
        ]
        video = self._video[row] if self.load_as_video else row
        length = self._starts[video + 1] - self._starts[video] if self.load_as_video else 1
        return dict(
            img_path=self._path(row),
            img_id=int(row),
            file_name=columns.names[row],
            video_name=columns.videos[row],
            video_id=int(video),
            frame_id=int(self._at[row]) if self.load_as_video else 0,
            frame_index=self._frame_index(row),
            video_length=1,
            ori_video_length=int(length),
            instances=instances,
        )

    def _frame_index(self, row: int) -> int:
        if not self.load_as_video:
            return 0
        given = int(self._columns.frame_index[row])
        return int(self._at[row]) if given == NONE else given

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        idx = range(len(self))[idx]
        row = int(self._frames[idx])
        if self.test_mode:
            return {key: [value] for key, value in (self._frame(row) | dict(sample_idx=idx)).items()}
        for _ in range(1000):
            reference = self._reference(row)
            if reference is not None:
                break
            row = int(random.choice(self._frames))
        else:
            raise LabelFileError(
                f'{self._columns.source}: no key frame shares an object with a frame up to {self.frame_range} '
                'frames away: do its tracks keep their ids?'
            )
        rows = sorted([row, reference], key=lambda r: self._at[r]) if self.load_as_video else [row, row]
        frames = [self._frame(r) | dict(sample_idx=idx, video_length=2) for r in rows]
        data = {key: [frame[key] for frame in frames] for key in frames[0]}
        key = rows.index(row)
        return data | dict(key_frame_flags=[i == key for i in range(2)])

    def _left_out(self, idx: int, reason: ImageError) -> dict:
        width, height = self.image_size or (64, 64)
        data = self.get_data_info(idx) | dict(
            img=[np.zeros((height, width, 3), np.uint8)],
            img_shape=[(height, width)],
            ori_shape=[(height, width)],
        )
        load, *rest = self.pipeline.transforms
        inner = list(load.transforms.transforms)[1:]  # the first loads the image
        for transform in [TransformBroadcaster(inner), *rest] if inner else rest:
            data = transform(data)
        data['data_samples'][0].set_metainfo(dict(left_out=str(reason)))
        return data
