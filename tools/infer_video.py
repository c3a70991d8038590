"""Segment video files and folders of frames (each folder is one video) with a video model.

    python tools/infer_video.py video_maskformer2_R101_bs16_8ep-rankseg_vspw vspw.pth drive.mp4 --out-dir out

writes out/drive.mp4 with overlays, and out/classes/NAME.png or (tracks) out/results.json; of several videos, each into
a folder of its name below out. For long videos of instance models give --clip-length 40 --overlap 5: memory then does
not grow with the video.
"""

import argparse
import sys


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='name or path of the config')
    parser.add_argument('checkpoint')
    parser.add_argument('source', help='video file or folder of frames; a folder or glob (quoted) of several')
    parser.add_argument('--out-dir', required=True)
    parser.add_argument('--clip-length', type=int, help="frames in one forward pass (default: the config's)")
    parser.add_argument('--overlap', type=int, help="frames that clips share (default: the config's)")
    parser.add_argument('--threshold', type=float, default=0.3, help='score from which tracks are drawn')
    parser.add_argument('--fps', type=float, help="of the video written (default: the source's, or 10)")
    parser.add_argument('--device', default='cpu')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmroad.inference.base import run_tool
    from mmroad.inference.video import VideoInferencer
    from mmroad.zoo.models import init_model

    try:
        model = init_model(args.config, args.checkpoint, args.device)
        inferencer = VideoInferencer(model, args.clip_length, args.overlap, args.threshold)
        run_tool(inferencer.run(args.source, args.out_dir, fps=args.fps), args.out_dir, 'frames')
    except (OSError, ValueError, KeyError) as error:
        sys.exit(str(error))


if __name__ == '__main__':
    main()
