#!/usr/bin/env bash
# Compiles Caffe with CUDA, every .cu file for every architecture of the default list, by building the
# Dockerfile's target `gpu`. A GPU is not needed, and nothing is run on one.
set -euo pipefail

exec "$(dirname "$0")/build_image.sh" --cuda
