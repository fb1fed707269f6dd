# Class activation mapping with BVLC Caffe 1.0.
#
#   docker build -t cam .                    with CUDA (the target "gpu")
#   docker build -t cam --target cpu .       without
#
# Debian is the base throughout: its packages are what Caffe is built with, CUDA 11.8 included.
# hadolint global ignore=DL3008
# (Versions of packages are not pinned: Debian stable changes them for security fixes only, and
# removes the old ones.)

FROM debian:bookworm-slim AS builder
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
ENV DEBIAN_FRONTEND=noninteractive PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY docker/packages.txt docker/requirements-caffe.txt docker/
RUN apt-get update \
    && xargs apt-get install -y --no-install-recommends ca-certificates python3-venv \
        < docker/packages.txt \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/cam && /opt/cam/bin/pip install -r docker/requirements-caffe.txt


# Caffe goes into a folder of its own, laid out like the virtual environment it is copied into.
FROM builder AS caffe-cpu
COPY docker/build_caffe.sh docker/
COPY docker/patches docker/patches
ARG CAFFE_SOURCE=auto
RUN apt-get update \
    && docker/build_caffe.sh --cpu --source "$CAFFE_SOURCE" --python /opt/cam/bin/python \
        --prefix /opt/caffe --cache /tmp/caffe \
    && rm -rf /tmp/caffe /var/lib/apt/lists/*


FROM builder AS cuda
RUN find /etc/apt \( -name '*.sources' -o -name '*.list' \) -exec sed -i -E \
        '/^(deb |Components:)/ s/\bmain\b/main contrib non-free/' {} + \
    && apt-get update \
    && apt-get install -y --no-install-recommends nvidia-cuda-toolkit \
    && rm -rf /var/lib/apt/lists/*


FROM cuda AS caffe-gpu
COPY docker/build_caffe.sh docker/
COPY docker/patches docker/patches
ARG CAFFE_SOURCE=auto
ARG CUDA_ARCHS=default
RUN apt-get update \
    && docker/build_caffe.sh --cuda "$CUDA_ARCHS" --source "$CAFFE_SOURCE" \
        --python /opt/cam/bin/python --prefix /opt/caffe --cache /tmp/caffe \
    && rm -rf /tmp/caffe /var/lib/apt/lists/*


FROM builder AS project
COPY pyproject.toml README.md LICENSE ./
COPY cam cam
COPY models models
# The links in CAFFE_ROOT, beside which Caffe comes in the images; weights are in /models at run time.
RUN /opt/cam/bin/pip install '.[cluster,figures,learn,matlab,script,web]' \
    && CAM_MODELS=/models /opt/cam/bin/python -P -m cam.zoo.caffe_root /opt/cam/share/caffe


FROM project AS project-test
RUN /opt/cam/bin/pip install '.[test]'


FROM debian:bookworm-slim AS runtime
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        graphviz libboost-filesystem1.74.0 libboost-python1.74.0 libboost-system1.74.0 \
        libboost-thread1.74.0 libgflags2.2 libgl1 libglib2.0-0 libgoogle-glog0v6 libhdf5-103-1 \
        libhdf5-hl-100 libleveldb1d liblmdb0 libopenblas0-pthread libopencv-core406 \
        libopencv-imgcodecs406 libopencv-imgproc406 libprotobuf32 libpython3.11 libsnappy1v5 \
        python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 cam \
    && install -d -o cam -g cam /data /models
COPY --from=project /opt/cam /opt/cam
ENV PATH=/opt/cam/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CAM_ENGINE=caffe \
    CAM_MODELS=/models \
    CAFFE_ROOT=/opt/cam/share/caffe
LABEL org.opencontainers.image.title="cam" \
      org.opencontainers.image.description="Class activation mapping (CVPR 2016) with the original Caffe networks" \
      org.opencontainers.image.licenses="MIT"
# Weights are read from /models; pictures and results are in /data.
VOLUME ["/data", "/models"]
WORKDIR /data
USER 1000:1000
# Of `cam serve --host 0.0.0.0`.
EXPOSE 8000
HEALTHCHECK --interval=5m --timeout=1m CMD ["cam", "doctor"]
ENTRYPOINT ["cam"]
CMD ["--help"]


FROM runtime AS cpu
COPY --from=caffe-cpu /opt/caffe /opt/cam
RUN ["/opt/cam/bin/python", "-c", "import caffe, cam"]


# The cpu image with what its tests need; the tests themselves are mounted.
FROM cpu AS test
COPY --from=project-test /opt/cam /opt/cam
ENV CAM_ENGINE= HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis
WORKDIR /src
ENTRYPOINT ["pytest", "-p", "no:cacheprovider"]
CMD []


FROM runtime AS gpu
USER 0
RUN find /etc/apt \( -name '*.sources' -o -name '*.list' \) -exec sed -i -E \
        '/^(deb |Components:)/ s/\bmain\b/main contrib non-free/' {} + \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        libcublas11 libcudart11.0 libcurand10 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=caffe-gpu /opt/caffe /opt/cam
# The NVIDIA container runtime brings in the driver of the host for these.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000:1000
RUN ["/opt/cam/bin/python", "-c", "import caffe, cam"]
