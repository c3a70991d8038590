"""80k iterations of 16 images: polynomial decay; as named values those after a warm-up."""

_base_ = ['seg_optimizers.py']
max_iters = 80000


def _poly(
    power, least, *warmup
):  # from the first iteration on, scaled by a warm-up whose end counts one more
    return [*warmup, dict(type='PolyLR', eta_min=least, power=power, begin=0, end=max_iters, by_epoch=False)]


param_scheduler = _poly(0.9, 1e-4)
warmed = _poly(1.0, 0.0, dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1501))
warmed_point = _poly(0.9, 1e-4, dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=201))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters // 10)
