"""Class-uniform sampling: half of an epoch is centered on tiles chosen so that all classes are seen alike.

From NVIDIA's semantic segmentation code (Zhu et al., arXiv 1812.01593, section 3.3;
Bulo et al., arXiv 1712.02616): every label map is cut in tiles, every class in a
tile gives a centroid, and an epoch takes the same number of centroids per class.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from mmengine.dataset import DefaultSampler
from mmengine.dist import master_only
from mmengine.logging import print_log
from mmengine.registry import DATA_SAMPLERS
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import DATASETS
from torch.utils.data import Dataset

from ..files.arrays import write_arrays
from ..files.progress import track


def tile_centroids(labels: np.ndarray, num_classes: int, tile: int) -> np.ndarray:
    """Centroids of the classes in each tile of a label map.

    Args:
        labels: (H, W) integers; values from ``num_classes`` on are left out.
        num_classes: Classes.
        tile: Side of the tiles in pixels; those at the right and lower border may be smaller.

    Returns:
        int32 (n, 3): class, x, y; by tile in rows, then by class.
    """
    found = []
    for top in range(0, labels.shape[0], tile):
        for left in range(0, labels.shape[1], tile):
            part = labels[top : top + tile, left : left + tile].astype(np.intp)
            part = np.where(part < num_classes, part, num_classes)
            # pixels per class and row, and per class and column, give the means
            rows = _histogram_by_line(part, num_classes)
            columns = _histogram_by_line(part.T, num_classes)
            count = rows.sum(0)
            classes = np.flatnonzero(count)
            y = (np.arange(len(rows)) @ rows)[classes] / count[classes] + top
            x = (np.arange(len(columns)) @ columns)[classes] / count[classes] + left
            found.append(np.stack([classes, x.astype(int), y.astype(int)], 1))
    return np.concatenate(found).astype(np.int32)


def _histogram_by_line(part: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels of each class in each row: (rows, num_classes)."""
    keys = part + np.arange(len(part))[:, None] * (num_classes + 1)
    counts = np.bincount(keys.ravel(), minlength=len(part) * (num_classes + 1))
    return counts.reshape(len(part), num_classes + 1)[:, :num_classes]


def dataset_centroids(
    dataset: Dataset, num_classes: int, tile: int, cache_file: str | Path, workers: int = 4
) -> np.ndarray:
    """:func:`tile_centroids` of a whole dataset, from the cache if it fits the files.

    The cache knows the label files by name, size and time, and the tile's size;
    centroids of other files are computed again (with a progress bar) and written.

    Args:
        dataset: An mmseg dataset whose pipeline holds a ``LoadLabelMap`` (or ``LoadAnnotations``).
        cache_file: A ``.npz``.
        workers: Threads that read label maps.

    Returns:
        int32 (n, 4): image index, class, x, y.
    """
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    identity = hashlib.sha256(f'{num_classes} {tile}'.encode())
    for info in infos:
        stat = os.stat(info['seg_map_path'])
        identity.update(f'{info["seg_map_path"]} {stat.st_size} {stat.st_mtime_ns}\n'.encode())
    identity, cache_file = identity.hexdigest(), Path(cache_file)
    if (cached := _cached(cache_file, identity)) is not None:
        return cached
    load = _load_annotations(dataset)

    def one(index: int) -> np.ndarray:
        found = tile_centroids(load(dict(infos[index], seg_fields=[]))['gt_seg_map'], num_classes, tile)
        return np.insert(found, 0, index, axis=1)

    with ThreadPoolExecutor(workers) as pool:
        found = pool.map(one, range(len(infos)))
        centroids = list(track(found, f'class centroids for {cache_file}', len(infos)))
    centroids = np.concatenate(centroids) if centroids else np.zeros((0, 4), np.int32)
    _write(cache_file, identity, centroids)
    return centroids


def _cached(path: Path, identity: str) -> np.ndarray | None:
    """The centroids that a cache holds; None where there is none, it is damaged, or it is of other label maps.

    Raises:
        ValueError: It is another file, which must not be replaced.
    """
    if not path.is_file():
        return None
    try:
        with np.load(path) as content:
            keys = set(content.files)
            if {'identity', 'centroids'} <= keys:
                return content['centroids'] if str(content['identity']) == identity else None
    except Exception as error:  # NumPy's reader raises nearly anything on a damaged file
        print_log(f'{path}: not read ({type(error).__name__}: {error}); it is made anew', logger='current')
        return None
    raise ValueError(
        f'{path} holds {", ".join(sorted(keys))}: not a cache of centroids; give another cache file'
    )


@master_only
def _write(path: Path, identity: str, centroids: np.ndarray) -> None:
    write_arrays(path, compressed=True, identity=identity, centroids=centroids)


def _load_annotations(dataset: Dataset) -> LoadAnnotations:
    for transform in dataset.pipeline.transforms:
        if isinstance(transform, LoadAnnotations):
            return transform
    raise ValueError(
        f'{type(dataset).__name__}: the pipeline has no LoadLabelMap (or LoadAnnotations), classes are unknown'
    )


@DATASETS.register_module()
class ClassUniformDataset(Dataset):
    """A dataset that can also be asked for its class centroids.

    Items 0 to ``num_images`` - 1 are the images; item ``num_images + k`` is the image of
    centroid k, with ``centroid`` (x, y) in the data info for ``CentroidCrop``. Indices
    that carry everything keep workers free of state; ``ClassUniformSampler`` draws them.

    Args:
        dataset: An mmseg dataset.
        cache_file: Where the centroids are kept (``.npz``).
        tile: Side of the tiles in pixels.
        boost: Another dataset (Cityscapes' coarse labels) that adds centroids, not images.
        boost_classes: The classes whose centroids it adds.
        boost_cache_file: The cache of its centroids.
        workers: Threads that read label maps.
    """

    def __init__(
        self,
        dataset: dict,
        cache_file: str,
        tile: int = 1024,
        boost: dict | None = None,
        boost_classes: Sequence[int] = (),
        boost_cache_file: str | None = None,
        workers: int = 4,
    ) -> None:
        self.dataset = DATASETS.build(dataset)
        self.metainfo = self.dataset.metainfo
        self.num_classes = len(self.metainfo['classes'])
        self.num_images = len(self.dataset)
        self.centroids = dataset_centroids(self.dataset, self.num_classes, tile, cache_file, workers)
        self.boost = None
        if boost is not None:
            if boost_cache_file is None:
                raise ValueError('ClassUniformDataset: boost needs a boost_cache_file of its own')
            self.boost = DATASETS.build(boost)
            added = dataset_centroids(self.boost, self.num_classes, tile, boost_cache_file, workers)
            added = added[np.isin(added[:, 1], boost_classes)]
            added[:, 0] += self.num_images
            self.centroids = np.concatenate([self.centroids, added])

    def full_init(self) -> None:
        """Part of mmengine's dataset protocol; everything is done at construction."""

    def __len__(self) -> int:
        return self.num_images

    def get_data_info(self, index: int) -> dict:
        """The data info of an image, or of a centroid's image with its ``centroid``."""
        if index < self.num_images:
            return self.dataset.get_data_info(index)
        image, _, x, y = (int(v) for v in self.centroids[index - self.num_images])
        if image < self.num_images:
            info = self.dataset.get_data_info(image)
        else:
            info = self.boost.get_data_info(image - self.num_images)
        return info | dict(centroid=(x, y))

    def __getitem__(self, index: int) -> dict:
        return self.dataset.pipeline(self.get_data_info(index))


@DATA_SAMPLERS.register_module()
class ClassUniformSampler(DefaultSampler):
    """An epoch with the same number of centroids per class, and random images for the rest.

    Per class int(N * fraction / classes) centroids, drawn without replacement as long as
    there are any; N images in all, as without it.

    Args:
        dataset: A :class:`ClassUniformDataset`.
        fraction: Share of the epoch that is class-uniform.
        last_epoch: From this epoch (counted from 0) on, plain shuffling.
        seed, shuffle, round_up: See mmengine's ``DefaultSampler``.
    """

    def __init__(
        self, dataset: ClassUniformDataset, fraction: float = 0.5, last_epoch: int | None = None, **kwargs
    ) -> None:
        super().__init__(dataset, **kwargs)
        self.fraction, self.last_epoch = fraction, last_epoch
        classes = dataset.centroids[:, 1]
        self.by_class = [np.flatnonzero(classes == c) for c in range(dataset.num_classes)]
        empty = [dataset.metainfo['classes'][c] for c, found in enumerate(self.by_class) if not len(found)]
        if empty:
            print_log(f'class-uniform sampling: no centroid of {", ".join(empty)}', logger='current')

    def epoch_indices(self, epoch: int) -> np.ndarray:
        """The indices of one epoch in order, for all ranks: int64 (N,)."""
        rng = np.random.default_rng([self.seed, epoch])
        n = self.dataset.num_images
        if self.last_epoch is not None and epoch >= self.last_epoch:
            return rng.permutation(n)
        per_class = int(n * self.fraction / len(self.by_class))
        drawn = [_draw(rng, found, per_class) + n for found in self.by_class if len(found)]
        drawn = np.concatenate([*drawn, np.zeros(0, np.int64)])
        images = _draw(rng, np.arange(n), n - len(drawn))
        return rng.permutation(np.concatenate([drawn, images]))

    def __iter__(self) -> Iterator[int]:
        indices = self.epoch_indices(self.epoch)
        if self.round_up:
            indices = np.resize(indices, self.total_size)
        return iter(indices[self.rank : self.total_size : self.world_size].tolist())


def _draw(rng: np.random.Generator, items: np.ndarray, number: int) -> np.ndarray:
    """``number`` items in random order; none twice before all came once."""
    rounds = -(-number // len(items))
    return np.concatenate([rng.permutation(items) for _ in range(rounds)] or [items[:0]])[:number]
