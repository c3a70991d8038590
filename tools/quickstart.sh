#!/usr/bin/env bash
# The main job from end to end: set-up, data, training, predictions, official scores, pictures, a report.
#   bash tools/quickstart.sh                       on synthetic road scenes, made here
#   bash tools/quickstart.sh --data-root DIR       on a BDD100K data set (images/100k, labels/det_20)
# Options: --out DIR (default work_dirs/quickstart), --config FILE, --no-setup (use the python on PATH);
# what follows -- goes to tools/train.py and tools/test.py (such as -- --cfg-options train_cfg.max_epochs=2).
# A run that was interrupted goes on where it was.
set -euo pipefail
from=$PWD
cd "$(dirname "$0")/.."
path() { case $1 in /*) echo "$1" ;; *) echo "$from/$1" ;; esac; } # of what was asked for, from here
own=configs/quickstart/faster_rcnn_r18_fpn_quickstart.py
data='' out='' config=$own python=.venv/bin/python setup=1 extra=()
while [ "$#" -gt 0 ]; do
    case $1 in
        --data-root) data=$(path "${2:?--data-root needs a folder}"); shift 2 ;;
        --out) out=$(path "${2:?--out needs a folder}"); shift 2 ;;
        --config) config=${2:?--config needs a file}; shift 2 ;;
        --no-setup) setup='' python=python; shift ;;
        --) shift; extra=("$@"); break ;;
        -h | --help) sed -n '2,/^set /{s/^# \{0,1\}//;/^set /!p}' "$0"; exit ;;
        *) echo "quickstart: unknown option $1 (--help lists them)" >&2; exit 2 ;;
    esac
done
: "${out:=work_dirs/quickstart${data:+_$(basename "$data")}}"
log=$out/quickstart.log start=$SECONDS
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive} # threads that wait spin otherwise: slow where others compute too

say() { echo "quickstart: $*"; }
run() { # run PATTERN command...: all output to the log, lines with PATTERN also to the screen
    local pattern=$1 began=$SECONDS
    shift
    if ! "$@" 2>&1 | tee -a "$log" | { grep --line-buffered -E "$pattern" || true; } | sed -uE 's/^.* - INFO - //; s/grad_norm.* loss: /loss: /; s/(AP50: [0-9.]+).*/\1/'; then
        echo "quickstart: failed: $*" >&2
        tail -n 15 "$log" >&2
        echo "quickstart: the whole log is $log" >&2
        exit 1
    fi
    say "done in $((SECONDS - began)) s"
}

[ -z "$setup" ] || bash tools/setup_env.sh
start=$SECONDS
mkdir -p "$out"
if [ -n "$data" ]; then
    data=${data%/}
    for part in images/100k/train images/100k/val labels/det_20/det_train.json labels/det_20/det_val.json; do
        [ -e "$data/$part" ] || { echo "quickstart: $data/$part is missing: is $data a BDD100K data set?" >&2; exit 1; }
    done
else
    data=data/road_scenes
    if [ -e "$data" ]; then
        say "1/5 $data is there (delete it to draw new scenes)"
    else
        say "1/5 drawing synthetic road scenes into $data"
        "$python" -m mmroad data road-scenes --out "$data"
    fi
fi
truth=$data/labels/det_20/det_val.json
here=(--cfg-options)
for split in train val test; do here+=("${split}_dataloader.dataset.data_root=$data/"); done
here+=("val_evaluator.ann_file=$truth" "test_evaluator.ann_file=$truth")

# Two processes, of two images each, use two cores better than the threads of one.
train=("$python" tools/train.py "$config") halves=() cores=$(nproc 2>/dev/null || echo 1)
if [ "$config" = "$own" ] && [ "$cores" -gt 1 ] && ! ls /dev/nvidia[0-9]* >/dev/null 2>&1; then
    port=$("$python" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
    train=(env "PORT=$port" "PYTHON=$python" "OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores / 2))}")
    train+=(bash tools/dist_train.sh "$config" 2) halves=(train_dataloader.batch_size=2)
fi

weights() { # the checkpoint that the training ended with: the folder may have been moved since
    local name
    name=$(cat "$out/trained")
    if [ -e "$out/train/$(basename "$name")" ]; then echo "$out/train/$(basename "$name")"; else echo "$name"; fi
}
if [ -s "$out/trained" ] && { [ -e "$(weights)" ] || ! ls "$out"/train/*.pth >/dev/null 2>&1; }; then
    say "2/5 trained already (delete $out to train again)"
else
    say "2/5 training $config, log in $log"
    run '^(no GPU|running on|mixed precision|--amp)|Epoch\((train|val)\) |resumed epoch|^going on from|^passed by' \
        "${train[@]}" --work-dir "$out/train" --resume --amp "${here[@]}" ${halves[@]+"${halves[@]}"} ${extra[@]+"${extra[@]}"}
    cp "$out/train/last_checkpoint" "$out/trained.part"
    mv "$out/trained.part" "$out/trained"
fi
say '3/5 predicting the held-out images'
if [ "$out/det.json" -nt "$out/trained" ]; then
    say "$out/det.json is there"
else
    run 'Epoch\(test\) |written' "$python" tools/test.py "$config" "$(weights)" --work-dir "$out/test" \
        --format-only --format-dir "$out" "${here[@]}" ${extra[@]+"${extra[@]}"}
fi
say "4/5 scoring with BDD100K's own evaluator"
run '^ +AP |^[a-z ]+ +(-|[0-9.]+) |^OVERALL|^-+$' "$python" -m bdd100k.eval.run -t det -g "$truth" -r "$out/det.json" --nproc 1 \
    --out-file "$out/scores.json"
say '5/5 drawing pictures and curves, writing the report'
"$python" -m mmroad visualize "$out/det.json" "$data/images/100k/val" "$out/pictures" --gt "$truth"
"$python" -m mmroad plot "$out/train" "$out/pictures/training.png"
run '^(report: |warning: )|left out' "$python" -m mmroad report -t det -g "$truth" -r "$out/det.json" --images "$data/images/100k/val" \
    --thumbnails --out "$out/report"

ap50=$("$python" -c 'import json, sys; print("%.1f" % json.load(open(sys.argv[1]))["AP50"][1]["OVERALL"])' "$out/scores.json")
real=faster_rcnn_r50_fpn_1x_det_bdd100k
cat <<END
quickstart: AP50 $ap50 on the held-out images, after $((SECONDS - start)) s; look at $out/pictures/contact_sheet.png
quickstart: open $out/report/index.html in a browser: scores, curves, errors, and the pictures behind them

With the real BDD100K (images/100k and labels/det_20 in data/bdd100k; a GPU is wanted):
  $python tools/train.py $real
  $python tools/test.py $real work_dirs/$real/epoch_12.pth --format-only --format-dir work_dirs/$real
  $python -m bdd100k.eval.run -t det -g data/bdd100k/labels/det_20/det_val.json -r work_dirs/$real/det.json
END
