"""The small video model with RankSeg, trained the same way."""

_base_ = './mask2former_small_road_scenes_video.py'
model = dict(
    track_head=dict(
        type='RankSegVideoHead',
        rank_seg=dict(top_k=19, head=dict(embed_dims=128, num_heads=4, feedforward_channels=512)),
    )
)
