# What the README does, in a container:
#
#   docker build -t bdip .
#   docker run --rm -v "$PWD/results:/bdip/results" -v "$PWD/report:/bdip/report" bdip make reproduce
#
# With CUDA, for a machine with NVIDIA's container runtime (CUDA_ARCH: the card's, as 90; without it the driver
# compiles for the card at the first start). The compiler is among NVIDIA's Python packages.
#
#   docker build -t bdip-cuda --build-arg CUDA=1 --build-arg CUDA_ARCH=90 .
#   docker run --rm --gpus all ... bdip-cuda make reproduce DEVICE=gpu
ARG BASE=debian:bookworm-slim
FROM $BASE

RUN apt-get update && \
    apt-get install -y --no-install-recommends git make && \
    rm -rf /var/lib/apt/lists/*

# First what changes seldom, so that an edited script or layer does not install everything anew.
WORKDIR /bdip
COPY scripts/build/system_packages.sh scripts/build/python_packages.sh scripts/build/requirements.txt scripts/build/
RUN scripts/build/system_packages.sh && rm -rf /var/lib/apt/lists/*
RUN scripts/build/python_packages.sh

COPY . .
ARG CUDA=
ARG CUDA_ARCH=
RUN make caffe CUDA=$CUDA CUDA_ARCH=$CUDA_ARCH
RUN make data

CMD ["make"]
