#!/usr/bin/env bash
# Builds the Dockerfile without a Docker engine and checks the images, on Debian 12 as root.
#
# Usage: .ci/build_image.sh [pytest argument...]   the targets `cpu` and `test`: the tools, the demo
#                                                  and the test suite run in them without network
#        .ci/build_image.sh --cuda                 the target `gpu`, on a machine without a GPU
#
# The base image is made from Debian's packages where it is missing. Layers are kept for later runs.
set -euo pipefail

repo=$(cd "$(dirname "$0")/.." && pwd)
shared=$(cd "$repo/.." && pwd)/shared
base=docker.io/library/debian:bookworm-slim
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 143' INT TERM HUP

say() { printf 'build_image.sh: %s (%d s)\n' "$*" "$SECONDS"; }

# Runs a command and shows what it printed only if it fails.
quietly() {
  "$@" >"$work/log" 2>&1 || {
    tail -n 60 "$work/log"
    say "failed: $*"
    return 1
  }
}

install_tools() {
  local tool missing=()
  for tool in buildah mmdebstrap podman runc; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  ((${#missing[@]} == 0)) || {
    quietly apt-get update
    quietly env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
      install -y --no-install-recommends "${missing[@]}"
  }
}

# Debian's slim image holds the essential packages and no documentation. The sources are those of
# this machine, as `apt-get indextargets` tells them.
make_base() {
  say "making the base image"
  # shellcheck disable=SC2016  # the variables are apt's
  apt-get indextargets --format '$(ORIGIN)|$(CREATED_BY)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)' |
    sed -n 's/^Debian|Packages|//p' >"$work/sources.list"
  quietly mmdebstrap --variant=minbase --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    bookworm "$work/base.tar" "$work/sources.list"
  quietly podman import "$work/base.tar" "$base"
  rm "$work/base.tar"
}

# pip in the build needs this machine's certificates and package index. They are mounted as root's
# home folder, which exists in the base image, so that no layer holds a trace of them. Package
# folders of this machine are left out: they are not there inside the build.
make_home() {
  mkdir -p "$work/home/.config/pip"
  cp /etc/ssl/certs/ca-certificates.crt "$work/home/"
  {
    printf '[global]\ncert = /root/ca-certificates.crt\n'
    python3 -m pip config list | sed -nE \
      -e "s/ ?file:[^ ']*//g" \
      -e "s/^(global|:env:)\.((extra-)?index-url|trusted-host)='(.+)'$/\2 = \4/p"
  } >"$work/home/.config/pip/pip.conf"
  cp "$shared"/sources/caffe_*.orig.tar.gz "$work/home/caffe.tar.gz" 2>/dev/null || true
}

# With the OCI format, SHELL and HEALTHCHECK would be ignored.
build() {
  quietly buildah build --isolation chroot --format docker --layers --force-rm --pull-never \
    --volume "$work/home:/root:ro" --build-arg "CAFFE_SOURCE=$2" \
    --target "$1" --tag "cam:$1" "$repo"
}

# Debian's archive is asked for the source of Caffe first; the tarball in shared/ serves for the day
# that it has the old release no longer.
build_target() {
  say "building the target $1"
  build "$1" debian && return
  [[ -e $work/home/caffe.tar.gz ]] || return 1
  say "building with the tarball in shared/sources instead"
  build "$1" /root/caffe.tar.gz
}

in_image() {
  podman --cgroup-manager cgroupfs --runtime runc run --rm --network none --no-healthcheck \
    --ulimit nofile=1024:4096 --ulimit nproc=4096:4096 "$@"
}

# What README promises of both images: no root user, no compiler, Caffe whole.
check_image() {
  say "checking cam:$1"
  # shellcheck disable=SC2016  # expanded in the image
  quietly in_image --entrypoint sh "cam:$1" -exc '
    test "$(id -u)" != 0
    test -w /data && test -w /models
    for tool in cc c++ g++ gcc make cmake nvcc; do
      ! command -v "$tool"
    done
    caffe --version
    command -v convert_imageset compute_image_mean
    python -c "import caffe.draw, cam; caffe.io.load_image, caffe.Classifier, caffe.NetSpec"
  '
  # A script of Caffe's time: as the image's user, without a display.
  quietly in_image --volume "$repo/tests/data:/data:ro" --entrypoint python "cam:$1" \
    caffe_root_script.py
  for engine in caffe openvino; do
    quietly in_image --volume "$repo/tests/data:/data:ro" "cam:$1" script --engine "$engine" \
      caffe_root_script.py
  done
  quietly in_image "cam:$1" --help
}

size_of() {
  podman image inspect --format '{{.Size}}' "cam:$1" | numfmt --to=iec
}

main() {
  install_tools
  podman image exists "$base" || make_base
  make_home
  if [[ ${1-} == --cuda ]]; then
    build_target gpu
    check_image gpu
    say "the gpu image is built: $(size_of gpu)"
    return
  fi
  build_target cpu
  check_image cpu
  say "the demo in the image"
  in_image cam:cpu demo --engine caffe
  build_target test
  # The package's examples are those of the installed one, which is not the mounted checkout's.
  say "the tests in the image"
  in_image --env CAM_REQUIRE_CAFFE=1 --volume "$repo:/src:ro" --volume "$shared:/shared:ro" \
    cam:test tests --pyargs cam "$@"
  say "the cpu image is built and tested: $(size_of cpu)"
}

main "$@"
