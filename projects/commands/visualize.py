"""Draw a saved det.json over its images, with the ground truth beside it, and a contact sheet.

mmroad visualize OUT/det.json data/bdd100k/images/100k/val pictures \\
    --gt data/bdd100k/labels/det_20/det_val.json
"""

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('predictions', help='Scalabel file (det.json), or a folder of them')
    parser.add_argument('images', type=Path, help='folder of the images')
    parser.add_argument('out', type=Path, help='folder for the pictures')
    parser.add_argument('--gt', help='ground truth (Scalabel), drawn beside the predictions')
    parser.add_argument(
        '--score-thr', type=float, default=0.3, help='lowest score drawn (default: %(default)s)'
    )
    parser.add_argument(
        '--num', type=int, default=24, help='pictures, spread over the file; 0 for all (default: %(default)s)'
    )
    parser.add_argument('--names', nargs='+', help='draw these images, by their names in the file')
    parser.add_argument('--columns', type=int, default=3, help='of the contact sheet (default: %(default)s)')
    parser.add_argument(
        '--width', type=int, default=640, help='of a picture on the sheet, pixels (default: %(default)s)'
    )
    parser.add_argument(
        '--sheet-max', type=int, default=24, help='pictures on the sheet at most (default: %(default)s)'
    )


def select(frames: list, num: int, names: list[str] | None, source: str) -> list:
    """The frames to draw: those named, or ``num`` spread over the file."""
    if names:
        by_name = {frame.name: frame for frame in frames}
        missing = [name for name in names if name not in by_name]
        if missing:
            sys.exit(f'{source}: no frame is named {", ".join(missing)}')
        return [by_name[name] for name in dict.fromkeys(names)]
    if not frames:
        sys.exit(f'{source}: it holds no frames')
    count = min(num or len(frames), len(frames))
    return [frames[i * len(frames) // count] for i in range(count)]


def draw(frame, images: Path, truth: dict | None, threshold: float):
    """One picture: the ground truth, where there is one, and the predictions."""
    from ..bdd100k.pictures import draw_labels, is_ignored, side_by_side, titled
    from ..files import ImageError, read_image

    path = images / frame.name
    try:
        image = read_image(path)
    except (OSError, ImageError) as error:
        raise ImageError(
            f'frame {frame.name!r} has no image there that can be read; is {images} the folder? {error}'
        ) from error
    found = [label for label in frame.labels or () if label.score is None or label.score >= threshold]
    panels = [titled(draw_labels(image, found), f'predictions from {threshold:g} ({len(found)})')]
    if truth is not None:
        if frame.name in truth:
            labels = truth[frame.name].labels or []
            count = sum(not is_ignored(label) for label in labels)
            title = f'ground truth ({count})  {frame.name}'
        else:
            labels, title = [], f'not in the ground truth  {frame.name}'
        panels.insert(0, titled(draw_labels(image, labels), title))
    return side_by_side(panels)


def run(args: argparse.Namespace) -> None:
    from ..bdd100k.pictures import contact_sheet
    from ..bdd100k.scalabel import duplicate_names, load_frames
    from ..files import ImageError, OutputNames, write_image
    from ..files.outputs import note_outputs
    from ..files.sources import image_files

    frames = load_frames(args.predictions)
    true_frames = load_frames(args.gt) if args.gt else []
    if repeated := duplicate_names(true_frames):
        print(
            f'warning: {args.gt}: {len(repeated)} names are carried by several frames, of which the last is drawn; '
            f'the first is {repeated[0]!r}',
            file=sys.stderr,
        )
    truth = {frame.name: frame for frame in true_frames} if args.gt else None
    chosen = select(frames, args.num, args.names, args.predictions)
    sources = [args.images / frame.name for frame in chosen] + image_files(args.images)
    names = OutputNames(args.out, sources)
    sheet = names.path('contact_sheet.png', source='the contact sheet')
    places = [names.path(f.name, '.png', source=f'frame {i} {f.name}') for i, f in enumerate(chosen)]
    for folder in {place.parent for place in (sheet, *places)}:  # no folder as a whole: it may hold images
        note_outputs(folder, args.images, [p.name for p in (sheet, *places) if p.parent == folder])
    on_sheet: list = []
    left_out: list[str] = []
    for frame, place in zip(chosen, places):
        try:
            picture = draw(frame, args.images, truth, args.score_thr)
            write_image(place, picture)
        except ImageError as error:
            left_out.append(str(error))
            continue
        if len(on_sheet) < args.sheet_max:
            on_sheet.append(picture)
    if on_sheet:
        write_image(sheet, contact_sheet(on_sheet, min(args.columns, len(on_sheet)), args.width))
        print(f'{len(chosen) - len(left_out)} pictures in {args.out}, {len(on_sheet)} of them on {sheet}')
    if left_out:
        sys.exit('\n  '.join([f'left out ({len(left_out)}):', *left_out]))
