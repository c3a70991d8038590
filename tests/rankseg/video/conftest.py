"""Small data in YouTube-VIS's published form."""

import json

import cv2
import numpy as np
import pytest

SIZE = (30, 40)


def rle(mask):
    """A mask as YouTube-VIS has it: runs of columns, not compressed, the first of zeros."""
    flat = np.concatenate([[0], mask.T.ravel()])
    starts = np.flatnonzero(np.diff(flat)) if flat.any() else []
    return dict(size=list(mask.shape), counts=np.diff([0, *starts, mask.size]).tolist())


@pytest.fixture(scope='session')
def write_ytvis():
    """A function that writes one video, with an object on the left half and a crowd, and gives the content of its
    annotation file."""

    def write(root, frames, split='train'):
        from mmroad.rankseg.video.ytvis import YTVISDataset

        folder = root / f'{split}/JPEGImages/v'
        folder.mkdir(parents=True)
        names = []
        for t, frame in enumerate(frames):
            cv2.imwrite(str(folder / f'{t:05d}.png'), frame)
            names.append(f'v/{t:05d}.png')
        mask = np.zeros(SIZE, np.uint8)
        mask[:, :20] = 1
        track = dict(
            id=7,
            video_id=3,
            category_id=26,
            iscrowd=0,
            segmentations=[rle(mask)] * len(frames),
            bboxes=[[0, 0, 20, 30]] * len(frames),
            areas=[600] * len(frames),
        )
        classes = YTVISDataset.METAINFO['classes']
        content = dict(
            videos=[dict(id=3, width=40, height=30, length=len(frames), file_names=names)],
            categories=[dict(id=i, name=name) for i, name in enumerate(classes, 1)],
            annotations=[track, dict(track, id=8, iscrowd=1)],
        )
        (root / f'{split}.json').write_text(json.dumps(content))
        return content

    return write
