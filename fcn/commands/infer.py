"""Segment images and videos: for each image, the label map, an overlay and a legend.

    fcn infer cat.jpg dog.jpg --weights runs/voc-fcn8s -o out
    fcn infer photos/ 'more/2011_*.jpg' --weights runs/voc-fcn8s -o out --page --jobs 4
    fcn infer photos/ --weights runs/voc-fcn8s -o out --gpu 0,1
    fcn infer cat.jpg --weights fcn8s-heavy-pascal.caffemodel --model voc-fcn8s -o out
    fcn infer scan.tif --tile 1024 --max-pixels 2000000000 --weights runs/voc-fcn8s -o out
    fcn infer clip.mp4 --weights runs/voc-fcn8s -o out
    fcn infer --camera 0 --weights runs/voc-fcn8s -o out
    torchrun --nproc-per-node 4 infer.py photos/ --weights runs/voc-fcn8s -o out --gpu all

For cat.jpg, `out` gets cat.png (class index per pixel, VOC palette), cat_overlay.png and cat_legend.png; for
clip.mp4 the folder `clip` with the label map of each frame, and clip_overlay.mp4. A camera is watched until
Ctrl-C. Nets of SIFT Flow say two things of a pixel: cat_geo.png and so on are the second. Nets that look at
depth or HHA too find that of images/NAME.png in depth/NAME.png and hha/NAME.png beside that folder, as in
NYUDv2.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from nets.arguments import real, whole
from voc_layers.reading import SampleError

from ..infer import Batch, Done, Wishes
from ..infer.images import find_files, is_video
from ..infer.page import NAME, Entry, Shown, write_page
from ..infer.said import class_list
from ..infer.scores import TYPES
from ..outputs import check_folder, refuse_inputs
from ..ranks import ALONE, Team, collected, contribute
from ..score.scoring import Setting
from ..sharding import ShardError, sharded
from ..trained import Trained
from ..waiting import aside, progress
from .options import (
    add_class_file,
    add_devices,
    add_net,
    add_precision,
    add_verbosity,
    as_one,
    parser,
    plain,
    settings,
    show_progress,
    tell,
)


def arguments(prog: str) -> argparse.ArgumentParser:
    command = parser(prog, __doc__)
    command.add_argument("images", nargs="*", metavar="IMAGE", help="file, folder or pattern; videos too")
    command.add_argument(
        "--camera", type=whole(), metavar="N", help="segment what camera N sees, until Ctrl-C"
    )
    command.add_argument("--weights", type=Path, required=True, help="weights file, or the folder of a run")
    command.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="the pictures go there")
    add_net(command)
    add_class_file(command)
    command.add_argument("--alpha", type=real(0, 1), default=0.5, help="opacity of the overlay")
    _add_large(command)
    more = command.add_argument_group("more results")
    kinds = f"class scores too, NAME_scores.npz: as {' or '.join(TYPES)} (default: {TYPES[0]})"
    more.add_argument("--scores", nargs="?", const=TYPES[0], choices=TYPES, help=kinds)
    more.add_argument("--page", action="store_true", help=f"{NAME}: each image, its overlay and its classes")
    as_json = "for programs: print a list of what became of each file, and nothing else on standard output"
    more.add_argument("--json", action="store_true", help=as_json)
    add_devices(command)
    add_precision(command)
    add_verbosity(command)
    return command


def parse(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    command = arguments(prog)
    args = command.parse_args(argv)
    if bool(args.images) == (args.camera is not None):
        command.error("give images, or --camera N")
    if args.camera is not None and (args.jobs or len(args.gpu or ()) > 1):
        command.error("--camera: one process watches it; leave out --jobs, and name one GPU")
    if args.camera is not None and args.json:
        command.error("--json: a camera has no end; its label maps are in the folder")
    if args.overlap is not None and args.tile is None:
        command.error("--overlap is of tiles: give --tile too")
    return args


def _add_large(command: argparse.ArgumentParser) -> None:
    """What an image is like, and how it is computed."""
    large = command.add_argument_group("large images, and photographs")
    tile = "compute images in tiles of at most N pixels a side, in less memory; the scores are the same"
    large.add_argument("--tile", type=whole(1), metavar="N", help=tile)
    overlap = "of neighbouring tiles, in pixels (default: the least at which the scores are the same)"
    large.add_argument("--overlap", type=whole(), metavar="N", help=overlap)
    pixels = "decode images of up to N pixels (default: Pillow's limit, 178,956,970)"
    large.add_argument("--max-pixels", type=whole(1), metavar="N", help=pixels)
    upright = "turn photographs as their EXIF tag says; by default pixels are taken as they are stored"
    large.add_argument("--upright", action="store_true", help=upright)


def run(args: argparse.Namespace, team: Team = ALONE) -> int:
    """Segment what the command line names, and print what is in each; 1 where one could not be."""
    files = find_files(args.images)
    films = [str(path) for path in files if is_video(path)]
    if films and args.scores:
        raise SampleError(f"--scores: there are none of videos ({', '.join(films)}); leave one of them out")
    where = [nullcontext] if team.world.launched else settings(args)
    batch = _batch(args, where[0])
    given = [batch.trained.weights, batch.trained.net, args.classes]
    page = [args.out / NAME] if args.page else []
    refuse_inputs([*batch.outputs(files), *page], [*files, *filter(None, given)])
    check_folder(args.out)
    if args.camera is not None:
        if team.count > 1:
            raise ValueError("--camera: one process watches it; several cannot share its pictures")
        return _watch(batch, args.camera)
    tiling = batch.tiling()
    args.out.mkdir(parents=True, exist_ok=True)
    if not team.root:
        contribute(team, batch.opened, files)
        return 0
    if tiling:
        print(tiling.describe(), file=sys.stderr if args.json else sys.stdout)
    if team.world.launched:
        return _segment(batch, files, args, collected(team, batch.opened, files))
    crew = [replace(batch, computing=setting).opened for setting in where]
    return _segment(batch, files, args, sharded(crew, files))


def _batch(args: argparse.Namespace, computing: Setting) -> Batch:
    """What is asked of each file."""
    trained = Trained.find(args.weights, args.net, args.model)
    wishes = Wishes(
        args.out,
        args.alpha,
        args.tile,
        args.overlap,
        args.scores,
        args.page,
        args.upright,
        args.max_pixels,
    )
    listed = class_list(trained, args.classes)
    return Batch(trained, listed, wishes, computing)


def _segment(batch: Batch, files: Sequence[Path], args: argparse.Namespace, each: Iterable[Done]) -> int:
    """Report on each file as it is segmented, and write the page of them; 1 where one could not be."""
    results: list[Done] = []
    lost: ShardError | None = None
    try:
        for done in progress(each, "segmenting", len(files), "files"):
            _report(done, quietly=args.json)
            results.append(done)
    except ShardError as error:
        lost = error
    if args.page:
        print(f"wrote {_page(batch, results)}", file=sys.stderr if args.json else sys.stdout)
    if args.json:
        print(json.dumps([{**asdict(done), "path": str(done.path)} for done in results], indent=2))
    turned = sum(done.turned for done in results)
    if turned:
        tell(f"{turned} of {len(files)} images lie on their side by their EXIF tag; --upright turns them")
    failed = sum(done.problem is not None for done in results)
    if failed:
        tell(f"{failed} of {len(files)} images could not be segmented")
    if lost:
        raise lost
    return int(failed > 0)


def _report(done: Done, quietly: bool) -> None:
    """What became of a file, on a line; of several labelings one after the other. Quietly: problems alone."""
    if done.shares and not quietly:
        listed = (
            ", ".join(f"{name} {100 * share:.1f} %" for name, share in one.items()) for one in done.shares
        )
        frames = f"{done.frames} frames, " if done.frames else ""
        aside(plain(f"{done.path}: {frames}{'; '.join(listed)}"))
    if done.problem:
        tell(done.problem)


def _page(batch: Batch, results: Iterable[Done]) -> Path:
    said = batch.said()
    entries = [
        Entry(
            done.path,
            [Shown(one.end, one.title, shares, one.classes) for one, shares in zip(said, done.shares)],
            bool(done.frames),
        )
        for done in results
        if done.shares
    ]
    title = f"Segmented by {batch.trained.model or batch.trained.weights.name}"
    return write_page(batch.wishes.out, title, entries)


def _watch(batch: Batch, number: int) -> int:
    """Watch a camera until Ctrl-C, which is how it is meant to end."""
    count = 0
    try:
        for _ in batch.watched(number):
            count += 1
    except KeyboardInterrupt:
        if not count:
            raise
    print(f"{count} label maps of camera {number} are in {batch.wishes.out}")
    return 0


def main(argv: Sequence[str] | None = None, prog: str = "fcn infer") -> int:
    """Segment what the arguments name; returns the exit status."""
    args = parse(argv, prog)
    show_progress(args.verbosity)
    return as_one(prog, args, partial(run, args))
