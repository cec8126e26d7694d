# What the README does, in a container. Ctrl-C stops it as it does elsewhere with -it: without, the signal goes
# to make alone, which does not pass it on.
#
#   docker build -t bdip .
#   docker run -it --rm -v "$PWD/results:/bdip/results" -v "$PWD/report:/bdip/report" bdip make reproduce
#
# With CUDA, for a machine with NVIDIA's container runtime (CUDA_ARCH: the card's, as 90; without it the driver
# compiles for a newer card than 75 at the first start in each container). The compiler is among NVIDIA's Python
# packages.
#
#   docker build -t bdip-cuda --build-arg CUDA=1 --build-arg CUDA_ARCH=90 .
#   docker run -it --rm --gpus all ... bdip-cuda make reproduce DEVICE=gpu
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
# .dockerignore lets in what says which commit this is; git asks for these folders, too, empty or not.
RUN [ ! -d .git ] || mkdir -p .git/objects .git/refs
ARG CUDA=
ARG CUDA_ARCH=75
# For the container, too: asked for the architectures of the card that it finds, it would build CUDA code anew.
ENV CUDA_ARCH=${CUDA:+$CUDA_ARCH}
RUN make caffe CUDA=$CUDA
RUN make data CUDA=$CUDA

CMD ["make"]
