# An image with mmroad set up by tools/setup_env.sh; `python` is its environment's.
#   docker build -t mmroad .                                     CPU
#   docker build -t mmroad:cuda --target cuda .                  GPU; mmcv is compiled for ARCHITECTURES
#   docker run --rm -it -v "$PWD/data:/mmroad/data" [--gpus all --shm-size 8g] mmroad bash
ARG CUDA_IMAGE=nvidia/cuda:13.0.1-devel-ubuntu24.04

FROM ${CUDA_IMAGE} AS cuda
ARG ARCHITECTURES="8.0 8.6 8.9 9.0"
ARG MMROAD_TORCH
ARG MMROAD_MMCV_WHEELS
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ git libgl1 libglib2.0-0 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /mmroad
COPY . .
RUN FORCE_CUDA=1 TORCH_CUDA_ARCH_LIST="${ARCHITECTURES}" bash tools/setup_env.sh && rm -rf /root/.cache
ENV PATH=/mmroad/.venv/bin:$PATH
CMD ["python", "tools/check_env.py"]

FROM debian:bookworm-slim AS cpu
ARG MMROAD_TORCH
ARG MMROAD_MMCV_WHEELS
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates g++ git libgl1 libglib2.0-0 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /mmroad
COPY . .
RUN bash tools/setup_env.sh && rm -rf /root/.cache
ENV PATH=/mmroad/.venv/bin:$PATH
CMD ["python", "tools/check_env.py"]
