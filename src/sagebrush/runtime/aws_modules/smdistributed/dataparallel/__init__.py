"""The data parallel library's names, over torch.distributed."""
