"""VSPW (https://www.vspwdataset.com): videos with a class for every pixel, and other data of its layout."""

from __future__ import annotations

import warnings
from pathlib import Path

from mmdet.datasets.base_video_dataset import BaseVideoDataset
from mmdet.registry import DATASETS

from ...bdd100k.sem_seg import BDD100KSemSegDataset
from ...files import IMAGE_SUFFIXES
from ...files.sources import natural

_CLASSES = """wall ceiling door stair ladder escalator Playground_slide handrail_or_fence window rail goal pillar
pole floor ground grass sand athletic_field road path crosswalk building house bridge tower windmill
well_or_well_lid other_construction sky mountain stone wood ice snowfield grandstand sea river lake waterfall
water billboard_or_Bulletin_Board sculpture pipeline flag parasol_or_umbrella cushion_or_carpet tent roadblock
car bus truck bicycle motorcycle wheeled_machine ship_or_boat raft airplane tyre traffic_light lamp person cat
dog horse cattle other_animal tree flower other_plant toy ball_net backboard skateboard bat ball
cupboard_or_showcase_or_storage_rack box traveling_case_or_trolley_case basket bag_or_package trash_can cage
plate tub_or_bowl_or_pot bottle_or_cup barrel fishbowl bed pillow table_or_desk chair_or_seat bench sofa shelf
bathtub gun commode roaster other_machine refrigerator washing_machine Microwave_oven fan curtain textiles
clothes painting_or_poster mirror flower_pot_or_vase clock book tool blackboard tissue screen_or_television
computer printer Mobile_phone keyboard other_electronic_product fruit food instrument train"""


def bit_palette(count: int) -> list[tuple[int, int, int]]:
    """PASCAL VOC's colors, from the bits of the numbers 1 to ``count``: distinct and far apart."""

    def channel(number: int, bit: int) -> int:
        return sum((number >> (3 * i + bit) & 1) << (7 - i) for i in range(8))

    return [tuple(channel(n, bit) for bit in range(3)) for n in range(1, count + 1)]


@DATASETS.register_module()
class VSPWDataset(BaseVideoDataset):
    """Videos in VSPW's layout: ``{train,val,test}.txt`` with a video's name a line, and
    ``data/VIDEO/origin/FRAME.jpg`` with ``data/VIDEO/mask/FRAME.png``.

    ``data_root='data/VSPW_480p/', ann_file='val.txt', data_prefix=dict(img_path='data')``. A sample is a video:
    the frames of one folder in natural order (1, 2, 10), of all of ``IMAGE_SUFFIXES``. Videos without masks (the
    test split) have images only.

    Raises:
        FileNotFoundError: The list or a video that it names is missing, or a video has no frames, or no frame
            with its mask.
        ValueError: The list names a video twice or none, two frames have one name, or there are too many classes.
    """

    METAINFO = dict(classes=tuple(_CLASSES.split()), palette=bit_palette(124))
    #: What is taken from a mask's values to give classes; what is then outside the classes is ignored.
    LABEL_OFFSET = 1
    #: Values that no class has; as published, whatever is above VSPW's own 124.
    IGNORED_LABELS = tuple(range(125, 256))

    def load_data_list(self) -> list[dict]:
        names_file, folder = Path(self.ann_file), Path(self.data_prefix['img_path'])
        if not names_file.is_file():
            raise FileNotFoundError(f'{names_file}: no such list of videos (data_root is {self.data_root!r})')
        if len(self.metainfo['classes']) > 255:
            raise ValueError(
                f'{len(self.metainfo["classes"])} classes; label maps of 8 bits hold 255 and "none"'
            )
        try:
            lines = names_file.read_text(encoding='utf-8-sig').splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f'{names_file}: not a list in UTF-8 ({error.reason})') from error
        names = [line.strip() for line in lines if line.strip()]
        if not names:
            raise ValueError(f'{names_file}: no video in this list')
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f'{names_file}: {repeated[0]} is listed twice')
        return [self._video(folder / name, name, video_id) for video_id, name in enumerate(names, 1)]

    def _video(self, folder: Path, video: str, video_id: int) -> dict:
        images = _by_name(folder / 'origin', IMAGE_SUFFIXES)
        if not images:
            raise FileNotFoundError(f'{folder}/origin: no frames, but {self.ann_file} lists this video')
        masks = _by_name(folder / 'mask', ('.png',))
        frames = [name for name in images if name in masks] if masks else list(images)
        if not frames:
            raise FileNotFoundError(
                f'{folder}: none of its {len(images)} frames has a mask of its name: there are '
                f'origin/{next(iter(images.values())).name} and mask/{next(iter(masks.values())).name}'
            )
        if masks and len(frames) < max(len(images), len(masks)):
            warnings.warn(
                f'{folder}: {len(images)} frames and {len(masks)} masks; the {len(frames)} that have both are used',
                stacklevel=2,
            )
        infos = []
        for frame_id, name in enumerate(frames):
            info = dict(
                img_path=str(images[name]),
                img_id=f'{video}/{name}',
                frame_id=frame_id,
                num_classes=len(self.metainfo['classes']),
                label_offset=self.LABEL_OFFSET,
                ignored_labels=self.IGNORED_LABELS,
            )
            if masks:
                info['seg_map_path'] = str(masks[name])
            infos.append(info)
        return dict(video_id=video_id, images=infos, video_length=len(infos))

    def filter_data(self) -> list[dict]:
        """All videos, as published."""
        return self.data_list


def _by_name(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """A folder's files of some kind by their names without suffix, in natural order; hidden ones are none."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob('[!.]*'), key=lambda path: natural(path.name)):
        if path.suffix.lower() in suffixes:
            other = found.setdefault(path.stem, path)
            if other != path:
                raise ValueError(f'{other} and {path}: two files for one frame')
    return found


@DATASETS.register_module()
class RoadScenesVideoDataset(VSPWDataset):
    """``mmroad data road-scenes --videos``: the layout of VSPW with the 19 classes of BDD100K."""

    METAINFO = BDD100KSemSegDataset.METAINFO
    LABEL_OFFSET = 0
    IGNORED_LABELS = (255,)
