#!/bin/sh
# The entry of the image: `audio ...` and `medical ...` are the two commands, and
# BIDS_DIR OUT_DIR participant is a BIDS App.
set -eu
case "${1:-}" in
audio | medical)
    command=$1
    shift
    exec "diff-$command" "$@"
    ;;
diff-audio | diff-medical | python)
    exec "$@"
    ;;
"" | -h | --help)
    echo "usage: audio COMMAND ... | medical COMMAND ... | BIDS_DIR OUT_DIR participant [OPTIONS]"
    echo "  audio denoise in.wav, medical enhance scan.nii.gz, audio doctor, medical doctor"
    ;;
*)
    if [ "${3:-}" != participant ]; then
        echo "diff: expected audio, medical, or BIDS_DIR OUT_DIR participant; got: $*" >&2
        exit 2
    fi
    exec diff-medical enhance "$@"
    ;;
esac
