#!/usr/bin/env bash
# Builds BVLC Caffe 1.0 with pycaffe from pristine, checked source and installs it.
# `build_caffe.sh --help` says how.
set -euo pipefail

# The last commit of BVLC/caffe. The tarball is the one of Debian's source package; the tree hash
# covers the path and content of every file, so that a copy from anywhere can be checked.
readonly commit=99bd99795dcdf0b1d3086a8d67ab1782a8a08383
readonly debian_suite=bullseye
readonly debian_version=1.0.0+git20180821.99bd997-8
readonly tarball_sha256=e0eb3f06794f7402c77b7dec8e8480273ee1a1bb192e9122b621a69d4147ad0c
readonly tree_sha256=40e059ef5413038c0efa9460777fb94fabca35676804d6409491a49e909849a5

# What nvcc 11.8 compiles for, one per major version: such a binary runs on its later minor versions,
# too, and newer cards run the PTX of the last. cuBLAS brings its own code for each card.
readonly default_archs="3.5 5.0 6.0 7.0 8.0 9.0"

usage() {
  cat <<EOF
Usage: build_caffe.sh [--cpu | --cuda ARCHS] [option...]

Builds BVLC Caffe (commit ${commit:0:7}) with pycaffe and installs it into the environment of a Python
interpreter: tools into bin, libcaffe into lib, the package caffe into site-packages, and into
share/caffe a folder laid out like a checkout of Caffe, for what asks for a CAFFE_ROOT. A second call
with the same inputs returns at once; a build is kept in the cache and shared between prefixes.

  --cpu           without CUDA (default)
  --cuda ARCHS    with CUDA, for these compute capabilities, e.g. "7.5 8.6"; "default" stands for
                  "$default_archs".
                  The last one is also embedded as PTX, which newer cards run.
  --nvcc FILE     the CUDA compiler (default: nvcc of PATH); its host compiler is \$CUDAHOSTCXX,
                  or the newest g++ that it accepts
  --source FROM   debian (Debian's source package, through the machine's own apt sources), github,
                  auto (default: the one, or else the other), a tarball or a folder; checked,
                  wherever it comes from
  --python FILE   the interpreter to build for (default: python3); what requirements-caffe.txt
                  lists is installed into its environment with pip where it is missing
  --prefix DIR    where to install (default: the prefix of that interpreter)
  --cache DIR     where builds are kept (default: \${XDG_CACHE_HOME:-~/.cache}/cam/caffe)
  --jobs N        parallel compilations (default: the number of processors)
  --packages      print the Debian packages that the build needs, and exit
  --help          this text

On Debian 12:  build_caffe.sh --packages | xargs apt-get install --no-install-recommends
With CUDA, nvidia-cuda-toolkit is among them, of Debian's component non-free.
EOF
}

say() { printf 'build_caffe.sh: %s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# Runs a command with its output in a log file, of which the end is shown on failure. It runs in the
# background because bash handles a signal only after a foreground command has ended.
logged() {
  local log=$work/$1.log status=0
  shift
  "$@" >"$log" 2>&1 &
  child=$!
  wait "$child" || status=$?
  child=
  ((status == 0)) || {
    tail -n 40 "$log" >&2
    fail "failed with status $status: $*"
  }
}

clean_up() {
  if [[ $child ]]; then
    kill "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  if [[ $work ]]; then rm -rf "$work"; fi
}

parse_arguments() {
  while (($#)); do
    case $1 in
      --cpu) variant=cpu ;;
      --packages) print_packages=1 ;;
      -h | --help)
        usage
        exit
        ;;
      --cuda | --nvcc | --source | --python | --prefix | --cache | --jobs)
        (($# > 1)) || fail "$1 needs a value"
        case $1 in
          --cuda)
            variant=cuda
            archs=$2
            ;;
          --nvcc) nvcc=$2 ;;
          --source) source=$2 ;;
          --python) python=$2 ;;
          --prefix) prefix=$2 ;;
          --cache) cache=$2 ;;
          --jobs) jobs=$2 ;;
        esac
        shift
        ;;
      *) fail "unknown argument: $1 (--help shows all)" ;;
    esac
    shift
  done
}

resolve_python() {
  local given=$python
  # Absolute, but with its symbolic links: they are what makes a virtual environment.
  python=$(command -v "$given") || fail "no Python interpreter: $given"
  python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python")
  py_version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  module_dir=lib/python$py_version/site-packages
  environment=$("$python" -c 'import sys; print(sys.prefix)')
  prefix=${prefix:-$environment}
  [[ $prefix == /* ]] || prefix=$PWD/$prefix
}

install_requirements() {
  "$python" -c 'import google.protobuf, numpy, pydot, scipy, six, skimage' 2>/dev/null ||
    logged pip "$python" -m pip install --quiet -r "$here/requirements-caffe.txt"
}

# Turns "7.5 8.6" into the form that Caffe's CMake files take, after asking nvcc whether it can.
resolve_cuda() {
  local arch known host_compiler
  command -v "$nvcc" >/dev/null || fail "the CUDA compiler is missing: $nvcc (see --packages)"
  nvcc=$(command -v "$nvcc")
  [[ $archs != default ]] || archs=$default_archs
  archs=${archs//./}
  archs=${archs//[,;]/ }
  known=$("$nvcc" --list-gpu-arch) || fail "$nvcc does not run"
  for arch in $archs; do
    grep -qx "compute_$arch" <<<"$known" ||
      fail "$nvcc does not compile for capability $arch; it knows $(tr -dc '0-9\n' <<<"$known" | xargs)"
  done
  [[ ${arch-} ]] || fail "--cuda needs at least one compute capability"
  host_compiler=$(cuda_host_compiler) || fail "$nvcc works with no g++ that is installed"
  variant="cuda $archs"
  cmake_options+=(
    -DCUDA_ARCH_NAME=Manual "-DCUDA_ARCH_BIN=$archs" "-DCUDA_ARCH_PTX=$arch"
    "-DCUDA_TOOLKIT_ROOT_DIR=$(dirname "$(dirname "$nvcc")")" "-DCUDA_NVCC_EXECUTABLE=$nvcc"
    "-DCUDA_HOST_COMPILER=$host_compiler"
    -DCUDA_NVCC_FLAGS=-Wno-deprecated-gpu-targets
  )
}

# nvcc refuses a g++ that is newer than it knows.
cuda_host_compiler() {
  local compiler
  for compiler in "${CUDAHOSTCXX:-${CXX:-c++}}" g++-{15..7}; do
    if "$nvcc" --compiler-bindir "$compiler" -E -x cu /dev/null >/dev/null 2>&1; then
      command -v "$compiler"
      return
    fi
  done
  return 1
}

# Everything that decides what comes out: source, patches, script and options, the binary
# interfaces of Python and NumPy, the compilers and the release of the system.
content_key() {
  {
    echo "$tree_sha256 $variant $(uname -m)"
    cat "$here/build_caffe.sh" "$here/requirements-caffe.txt" "$here"/patches/*.patch
    "$python" -c 'import numpy, sysconfig
print(*sysconfig.get_config_vars("SOABI", "LIBDIR", "INSTSONAME"), numpy.__version__.split(".")[0])'
    "${CXX:-c++}" --version
    [[ $variant == cpu ]] || "$nvcc" --version
    if [[ -r /etc/os-release ]]; then grep -E '^(ID|VERSION_ID)=' /etc/os-release; fi
  } | sha256sum | cut -c 1-16
}

# Boost.Python is made for one version of Python, and Caffe's CMake files do not say so.
check_tools() {
  local tool
  for tool in "${CXX:-c++}" cmake make patch protoc; do
    command -v "$tool" >/dev/null ||
      fail "$tool is missing; on Debian: build_caffe.sh --packages | xargs apt-get install"
  done
  find_library "boost_python${py_version/./}" >/dev/null ||
    fail "Boost.Python for Python $py_version is missing, the version of $python"
}

python_library() {
  local library
  library=$("$python" -c 'import os, sysconfig
print(os.path.join(*sysconfig.get_config_vars("LIBDIR", "INSTSONAME")))')
  # An interpreter without a shared library of its own: the system's serves the tools.
  if [[ $library == *.so.* && -e $library ]]; then
    echo "$library"
  else
    find_library "python$py_version" || fail "no shared library of Python $py_version"
  fi
}

# The compiler prints the path of a library that it finds, and the bare name of any other.
find_library() {
  local path
  path=$("${CXX:-c++}" "-print-file-name=lib$1.so")
  [[ $path == /* ]] && echo "$path"
}

# Debian's archive carries older suites beside that of this machine. A private apt state leaves the
# machine's own as it is, and its own sources tell where the archive is.
fetch_debian() {
  local to=$1 apt=$work/apt keyring=/usr/share/keyrings/debian-archive-keyring.gpg archive options
  command -v apt-get >/dev/null || fail "--source debian needs apt; take --source github"
  # shellcheck disable=SC2016  # the variables are apt's
  archive=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' |
    awk -F'|' '$1 == "Debian" && $2 == "Debian" && !found++ { print $3 }')
  [[ $archive ]] || fail "apt knows no Debian archive: apt-get update first, or --source github"
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/download"
  [[ -e $keyring ]] && keyring="[signed-by=$keyring]" || keyring=
  echo "deb-src $keyring $archive $debian_suite main" >"$apt/sources.list"
  options=(--quiet
    -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o "APT::Sandbox::User=$(id -un)")
  logged apt-update apt-get "${options[@]}" update
  logged apt-source env -C "$apt/download" \
    apt-get "${options[@]}" --download-only source "caffe=$debian_version"
  unpack_tarball "$apt/download"/caffe_*.orig.tar.gz "$to"
}

fetch_github() {
  logged download "$python" -c 'import sys, urllib.request; urllib.request.urlretrieve(*sys.argv[1:])' \
    "https://github.com/BVLC/caffe/archive/$commit.tar.gz" "$work/github.tar.gz"
  tar -xzf "$work/github.tar.gz" -C "$1" --strip-components=1
}

unpack_tarball() {
  echo "$tarball_sha256  $1" | sha256sum --check --status ||
    fail "$1 is not Debian's tarball of Caffe: its SHA-256 is not $tarball_sha256"
  tar -xzf "$1" -C "$2"
}

fetch() {
  local tree=$1
  mkdir "$tree"
  case $source in
    auto)
      (fetch_debian "$tree") || {
        say "taking it from GitHub instead"
        fetch_github "$tree"
      }
      ;;
    debian) fetch_debian "$tree" ;;
    github) fetch_github "$tree" ;;
    *)
      if [[ -d $source ]]; then
        tar -c --exclude=./.git -C "$source" . | tar -x -C "$tree"
      else
        unpack_tarball "$source" "$tree"
      fi
      ;;
  esac
  [[ $(tree_hash "$tree") == "$tree_sha256" ]] ||
    fail "the source from $source is not the pristine tree of BVLC/caffe at $commit"
}

tree_hash() {
  (cd "$1" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) |
    sha256sum | cut -d ' ' -f 1
}

build() {
  local to=$1 tree=$work/source installed=$work/installed library headers patch
  library=$(python_library)
  headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  [[ -e $headers/Python.h ]] || fail "the headers of Python $py_version are missing in $headers"
  say "fetching the source: $source"
  fetch "$tree"
  for patch in "$here"/patches/*.patch; do
    logged patch patch --directory="$tree" --strip=1 --fuzz=0 --input="$patch"
  done

  say "compiling for Python $py_version, $variant"
  logged cmake cmake -Wno-dev -S "$tree" -B "$work/build" "${cmake_options[@]}" \
    -DCMAKE_POLICY_VERSION_MINIMUM=3.5 -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_INSTALL_PREFIX="$installed" -DCMAKE_INSTALL_LIBDIR=lib \
    -DCMAKE_CXX_FLAGS=-DBOOST_BIND_GLOBAL_PLACEHOLDERS \
    -DBLAS=Open -DUSE_CUDNN=OFF -DBUILD_docs=OFF -DBUILD_matlab=OFF \
    -Dpython_version=3 -DPYTHON_EXECUTABLE="$python" -DPYTHON_LIBRARY="$library" \
    -DPYTHON_INCLUDE_DIR="$headers" -DPYTHON_MODULE_DIR="$module_dir"
  # Where its CMake files do not find CUDA, Caffe would be built without in silence.
  [[ $variant == cpu ]] || grep -q "CUDA detected" "$work/cmake.log" ||
    fail "Caffe's configuration does not find CUDA beside $nvcc"
  logged make make -C "$work/build" --jobs="$jobs"
  logged install make -C "$work/build" install/strip

  say "running pycaffe's own tests"
  logged tests env -C "$tree/python/caffe/test" PYTHONPATH="$installed/$module_dir" \
    GLOG_minloglevel=2 OPENBLAS_NUM_THREADS=1 "$python" -W ignore -m unittest discover

  # What runs, without static libraries and CMake files.
  mkdir -p "$to/lib"
  cp -a "$installed/bin" "$to/"
  cp -a "$installed"/lib/libcaffe.so* "$installed/lib/python$py_version" "$to/lib/"
  make_root "$to" "$tree" "$installed/include"
  write_metadata "$to/$module_dir" "$tree/LICENSE"
}

# Scripts and Makefiles look for these places below a CAFFE_ROOT. The links are relative, so that the
# prefix can be moved. Its models are linked when it is installed.
make_root() {
  local prefix=$1 root=$1/share/caffe tree=$2 headers=$3
  mkdir -p "$root"/{build/tools,include,lib,python}
  ln -s "../../../$module_dir/caffe" "$root/python/caffe"
  cp -a "$tree"/python/*.py "$root/python/"
  cp -a "$headers/caffe" "$root/include/"
  (cd "$prefix/lib" && printf '../../../lib/%s\0' libcaffe.so*) | xargs -0 ln -s -t "$root/lib"
  (cd "$prefix/bin" && printf '../../../../bin/%s\0' *) | xargs -0 ln -s -t "$root/build/tools"
  ln -s ../lib "$root/build/lib"
}

# Lets pip list, check and uninstall Caffe like any other package.
write_metadata() {
  local info=caffe-1.0.0.dist-info
  install -D -m 644 "$2" "$1/$info/LICENSE"
  (
    cd "$1"
    printf '%s\n' "Metadata-Version: 2.1" "Name: caffe" "Version: 1.0.0" \
      "Summary: BVLC Caffe with pycaffe, commit $commit ($variant)" \
      "License: BSD-2-Clause" "License-File: LICENSE" >"$info/METADATA"
    sed -n 's/^[a-z]/Requires-Dist: &/p' "$here/requirements-caffe.txt" >>"$info/METADATA"
    echo build_caffe.sh >"$info/INSTALLER"
    : >"$info/RECORD"
    find caffe "$info" ../../../bin ../../../lib/libcaffe.so* ../../../share ! -type d \
      -printf '%p,,\n' | LC_ALL=C sort >"$info/RECORD"
  )
}

install_build() {
  mkdir -p "$prefix/share/cam-caffe"
  rm -f "$stamp"
  # Without the removal a Caffe that runs meanwhile would see its files change under it.
  cp -a --remove-destination "$1/." "$prefix/"
  echo "$key" >"$stamp"
}

# The project's networks and its users' weights, for CAFFE_ROOT/models.
link_models() {
  local root=$prefix/share/caffe
  # From elsewhere, as a checkout in the working directory is not what is installed.
  if (cd / && "$python" -c 'import cam.zoo.caffe_root' 2>/dev/null); then
    (cd / && "$python" -m cam.zoo.caffe_root "$root")
  else
    say "no models in $root: cam is not installed for $python; call this again when it is"
  fi
}

main() {
  here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  source=auto variant=cpu archs='' nvcc=nvcc python=python3 prefix='' jobs=$(nproc)
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/cam/caffe
  print_packages='' child='' work='' cmake_options=()
  parse_arguments "$@"

  if [[ $print_packages ]]; then
    cat "$here/packages.txt"
    [[ $variant == cpu ]] || echo nvidia-cuda-toolkit
    exit
  fi
  [[ $source =~ ^(auto|debian|github)$ || -e $source ]] || fail "no such source: $source"
  resolve_python
  if [[ $variant == cuda ]]; then resolve_cuda; else cmake_options+=(-DCPU_ONLY=ON); fi

  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  mkdir -p "$cache"
  cache=$(cd "$cache" && pwd)
  exec 9>"$cache/lock"
  flock --nonblock 9 || {
    say "waiting for another build to end"
    flock 9
  }
  # Only a killed build leaves its folder, and the lock says that none runs.
  rm -rf "$cache"/build.*
  work=$(mktemp -d "$cache/build.XXXXXX")

  check_tools
  install_requirements
  key=$(content_key)
  stamp=$prefix/share/cam-caffe/key
  if [[ -r $stamp && $(<"$stamp") == "$key" && -e $prefix/$module_dir/caffe/_caffe.so ]]; then
    link_models
    say "up to date in $prefix"
    exit
  fi
  if [[ ! -d $cache/$key ]]; then
    build "$work/result"
    mv "$work/result" "$cache/$key"
  fi
  install_build "$cache/$key"
  link_models
  say "installed into $prefix"
  [[ $prefix == "$environment" ]] || say "import it with PYTHONPATH=$prefix/$module_dir"
}

main "$@"
