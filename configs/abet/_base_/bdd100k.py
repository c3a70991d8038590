"""BDD100K's semantic segmentation with the published augmentation; crop and tile fit its 720x1280 images."""
_base_ = ['../../_base_/datasets/bdd100k_sem_seg.py', './augmentation.py']
train_pipeline = [
    dict(t, size=(720, 720)) if t['type'] == 'CentroidCrop' else t for t in _base_.abet_pipeline]
train_dataloader = dict(
    _delete_=True,
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='ClassUniformSampler', fraction=0.5, last_epoch=150),
    dataset=dict(
        type='ClassUniformDataset',
        cache_file='data/bdd100k/centroids_train_720.npz',
        tile=720,
        dataset=dict(
            type='BDD100KSemSegDataset',
            data_root='data/bdd100k/',
            data_prefix=dict(img_path='images/10k/train', seg_map_path='labels/sem_seg/masks/train'),
            pipeline=train_pipeline)))
