"""ATSS with a dynamic head of six blocks in place of the stacked convolutions."""

_base_ = ['atss.py']

model = dict(
    neck=[_base_.model.neck, dict(type='DyHead', in_channels=256, out_channels=256, num_blocks=6)],
    bbox_head=dict(stacked_convs=0),
)
