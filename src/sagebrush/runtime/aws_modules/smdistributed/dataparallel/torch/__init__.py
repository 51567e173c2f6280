"""The data parallel library for PyTorch.

``torch_smddp``   its second generation: the backend "smddp" of torch.distributed
``distributed``   its first: an interface of its own that resembles torch.distributed
``parallel``      its first: a DistributedDataParallel of its own
"""
