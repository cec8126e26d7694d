# The face of the project: verbs. What depends on what behind `make reproduce` is scripts/Snakefile.
# `make` alone lists the targets (lines with ##) and the settings (lines with #:).
SHELL := /bin/bash

DEVICE  ?= cpu#: cpu, gpu or gpu:N
SEEDS   ?= 3#: runs of each configuration, with seeds 1 ... SEEDS
ONLY    ?=#: parts of reproduce and plan: mnist, cifar10, svhn (default: these), search
JOBS    ?= $(shell nproc)#: runs side by side, one thread each
PROFILE ?=#: slurm sends the runs to a cluster: scripts/profiles/slurm (reproduce, quick)
NET     ?= lenet#: network to train (make train): a folder of prototxt/
DATASET ?= mnist#: data set to train it on (make train)
CONFIG  ?= (10,1)-BD_4#: blocks of the inner product layers (make train)
METHOD  ?= bdip#: bdip, shuffle, shuffle_per_pass, ip_bdip, magnitude or node, and settings: bdip,weight_decay=0 (make train)
SEED    ?= 1#: of weights and shuffles (make train)
SOLVER  ?=#: a solver prototxt of your own, in place of NET, CONFIG and METHOD (make train)
DATASETS ?= mnist fashion-mnist cifar10#: data sets to fetch (make data)
IMPORT  ?=#: an NPZ with images of your own (make data): x_train y_train x_test y_test
NAME    ?=#: what to call the data set that IMPORT makes
MIRROR  ?=#: a folder with the data sets' official files, for whatever fetches data
CUDA    ?= $(if $(filter gpu%,$(DEVICE)),1)#: 1 builds Caffe with CUDA (DEVICE=gpu does that too)
CUDA_HOST ?=#: 1 builds Caffe's GPU code on a CPU double of CUDA (tests/cuda_host)
CUDA_ARCH ?=#: GPU architectures, as 80;90 (default: the card here, else 75)
BENCH   ?=#: full times everything (make bench)
THREADS ?= 1#: threads of what is timed (make bench)
CAFFE_TARBALL ?=#: an archive of Caffe's source (default: downloaded)
CAFFE_SRC ?=#: a Caffe tree of your own (make overlay)
# Recipes take settings from the environment, as "$$NAME": no character in them means anything to the shell.
export DEVICE SEEDS ONLY JOBS PROFILE NET DATASET CONFIG METHOD SEED THREADS SOLVER DATASETS IMPORT NAME MIRROR CUDA_ARCH CAFFE_TARBALL CAFFE_SRC

# What one checkout compiled, another finds in the cache.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1

python  := build/venv/bin/python
flavour := $(if $(filter-out 0,$(CUDA_HOST)),cuda_host,$(if $(filter-out 0,$(CUDA)),cuda,cpu))
# What the C++ tests of `make test` are compiled from: ours, and Caffe's own of what we touch; on the
# double without stock layers of which our patches leave the GPU's code alone.
host_tests := block_inner_product_layer,exact_resume,pruner,onednn_layers,inner_product_layer,data_layer,hdf5data_layer,hdf5_output_layer,gradient_based_solver,solver,solver_factory,net,io,protobuf,im2col_kernel,platform
export CAFFE_TESTS := $(host_tests),convolution_layer,pooling_layer,neuron_layer
mirror  := $(if $(MIRROR),--mirror "$$MIRROR")
run_all := $(python) -m scripts.workflow
settings := --seeds "$$SEEDS" --jobs "$$JOBS" --device "$$DEVICE"
profile := $(if $(PROFILE),--profile "$$PROFILE")
cluster := $(if $(PROFILE),scripts/build/python_packages.sh slurm,:)

double := tests/cuda_host/run.sh
ours_cu := $(shell cd caffe_layers && find src -name '*.cu')

.PHONY: help caffe data test test-caffe test-gpu-on-host train table1 report bench quick reproduce plan overlay clean
help:
	@echo "Targets:"
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/make \1|\2/p' Makefile | while IFS='|' read -r name what; do \
	  printf '  %-22s %s\n' "$$name" "$$what"; done
	@echo "Settings (make reproduce SEEDS=1 JOBS=4):"
	@sed -nE 's/^([A-Z_]+) *\?= ?(.*)#: (.*)/\1|\2|\3/p' Makefile | sed 's/|$$[^|]*|/||/' | \
	  while IFS='|' read -r name default what; do printf '  %-14s %-12s %s\n' "$$name" "$$default" "$$what"; done

caffe: ## Caffe with the layer: build/bin/caffe and build/venv/bin/python -c 'import caffe'
	@scripts/build/build_caffe.sh $(flavour)

data: caffe ## data sets as LMDB, digests checked; or IMPORT and NAME
ifeq ($(IMPORT),)
	@$(python) -m scripts.datasets $$DATASETS $(mirror)
else
	@$(python) -m scripts.datasets $(if $(NAME),"$$NAME") --import "$$IMPORT"
endif

train: caffe ## one run: NET, DATASET, CONFIG, METHOD, SEED, or a SOLVER of your own
ifeq ($(SOLVER),)
	@$(python) -m scripts.datasets "$$DATASET" $(mirror)
	@$(python) -m scripts.train --net "$$NET" --dataset "$$DATASET" --config "$$CONFIG" --method "$$METHOD" \
	  --seed "$$SEED" --device "$$DEVICE"
else
	@$(python) -m scripts.train --solver "$$SOLVER" --seed "$$SEED" --device "$$DEVICE"
endif

quick: caffe ## a first look in a quarter of an hour: one seed, first rows of Table 1
	@$(cluster)
	@$(run_all) quick $(settings) $(mirror) $(profile)

reproduce: caffe ## everything, resumable: data, runs, tables, report
	@$(cluster)
	@$(run_all) reproduce --only "$$ONLY" $(settings) $(mirror) $(profile)

plan: ## what is there, what reproduce would run, and about how long
	@scripts/build/python_packages.sh
	@$(run_all) plan --only "$$ONLY" $(settings) $(mirror)

table1: ## report/table1.csv, .md and .tex from the results that are there
	@scripts/build/python_packages.sh
	@$(python) -m analysis.table1

report: ## report/index.html from the results that are there
	@scripts/build/python_packages.sh
	@$(python) -m analysis.report

bench: ## how fast block layers are on this machine, beside other libraries: about ten minutes
	@scripts/build/python_packages.sh
	@$(python) -m scripts.bench.check "$$DEVICE" "$$THREADS" "$$BENCH"
	@scripts/build/build_caffe.sh $(if $(filter gpu%,$(DEVICE)),cuda,cpu)
	@scripts/build/build_bench.sh $(if $(filter gpu%,$(DEVICE)),cuda,cpu)
	@$(python) -m scripts.bench --device "$$DEVICE" --threads "$$THREADS" $(if $(filter full,$(BENCH)),--full)

test: data ## C++ tests of what we add and touch, GPU code on the CPU double, then pytest
	@scripts/build/build_caffe.sh $(flavour) test.testbin
	@scripts/build/run_caffe_tests.sh $(flavour)
	@tests/cuda_host/build.sh build/caffe build/cuda_host "$(host_tests)"
	@$(double) tests build/caffe build/cuda_host
	@$(double) ptx build/caffe build/cuda_host $(addprefix build/caffe/,$(ours_cu))
	@$(python) -m pytest tests

test-caffe: ## all of Caffe's own tests
	@CAFFE_TESTS= scripts/build/build_caffe.sh $(flavour) test.testbin
	@scripts/build/run_caffe_tests.sh $(flavour)

test-gpu-on-host: caffe ## all of Caffe's GPU tests on the CPU double, in both orders of threads
	@tests/cuda_host/build.sh build/caffe build/cuda_host all
	@$(double) all build/caffe build/cuda_host

overlay: ## puts the layer into a Caffe of your own: CAFFE_SRC=path
	@[ -n "$$CAFFE_SRC" ] || { echo "error: name your Caffe: make overlay CAFFE_SRC=path" >&2; exit 1; }
	@/usr/bin/python3 scripts/build/caffe_source.py overlay "$$CAFFE_SRC"

clean: ## removes what was built (build/); data, results and report stay
	rm -rf build
