"""YouTube-VIS (https://youtube-vos.org/dataset/vis) as it is published: no conversion of annotations."""

from __future__ import annotations

from pathlib import Path

from mmdet.datasets import YouTubeVISDataset
from mmdet.datasets.base_video_dataset import BaseVideoDataset
from mmdet.registry import DATASETS

from .annotations import read_annotations


class _Version2019(YouTubeVISDataset):
    pass


_Version2019.set_dataset_classes('2019')  # of this class alone: mmdet keeps them on the class


@DATASETS.register_module()
class YTVISDataset(BaseVideoDataset):
    """YouTube-VIS 2019 from its own annotation files (mmdet's dataset reads converted ones).

    ``data_root='data/ytvis_2019/', ann_file='train.json', data_prefix=dict(img_path='train/JPEGImages')``. A
    sample is a video; files without annotations (valid, test) give images only.

    Other data of this form: give its classes, in the order of their ids, as ``metainfo=dict(classes=...)``.

    Raises:
        FileNotFoundError, ValueError: As `read_annotations`, or the file's categories are others.
    """

    METAINFO = dict(classes=_Version2019.METAINFO['classes'])

    def load_data_list(self) -> list[dict]:
        content = read_annotations(self.ann_file)
        categories = {c['id']: c['name'] for c in content['categories']}
        wanted = dict(enumerate(self.metainfo['classes'], 1))
        if categories != wanted:
            different = sorted(set(categories.items()) ^ set(wanted.items()), key=str)
            raise ValueError(
                f'{self.ann_file}: its {len(categories)} categories are not the {len(wanted)} classes of the '
                f'metainfo with the ids from 1 on; {len(different)} differ, such as {different[:3]}'
            )
        tracks: dict = {}
        for ann in content.get('annotations') or []:
            tracks.setdefault(ann['video_id'], []).append(ann)
        return [self._video(video, tracks.get(video['id'], [])) for video in content['videos']]

    def _video(self, video: dict, tracks: list[dict]) -> dict:
        images = []
        for frame_id, name in enumerate(video['file_names']):
            image = dict(
                img_path=str(Path(self.data_prefix['img_path']) / name),
                img_id=f'{video["id"]}/{frame_id}',
                file_name=name,
                frame_id=frame_id,
                instances=[i for track in tracks if (i := _instance(track, frame_id))],
            )
            images.append(image | {key: video[key] for key in ('height', 'width') if key in video})
        return dict(video_id=video['id'], images=images, video_length=len(images))

    def filter_data(self) -> list[dict]:
        """All videos and frames, as published."""
        return self.data_list


def _instance(track: dict, frame_id: int) -> dict | None:
    """A track's instance in a frame, None where it is not visible."""
    mask = track['segmentations'][frame_id]
    if mask is None:
        return None
    x, y, w, h = track['bboxes'][frame_id]
    return dict(
        bbox=[x, y, x + w, y + h],
        bbox_label=track['category_id'] - 1,
        mask=mask,
        instance_id=track['id'],
        ignore_flag=track['iscrowd'],
    )
