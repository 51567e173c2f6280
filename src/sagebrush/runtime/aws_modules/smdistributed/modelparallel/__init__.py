"""Not here; said where a script imports it."""

raise ImportError(
    "SageMaker's model parallel library (smdistributed.modelparallel) is not here. torch has FSDP "
    "(torch.distributed.fsdp), tensor parallelism (torch.distributed.tensor) and torch.distributed.pipelining."
)
