"""``smdistributed``: SageMaker's libraries for distributed training, as far as scripts import them."""
