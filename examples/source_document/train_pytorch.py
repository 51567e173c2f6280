# The first snippet of SageMaker's description in our source document, as it is printed there, with its indentation.
# Additions: this comment. Beside it: train.py, which it names, and prepare.py, which puts data where it looks for them.
#
#     cd examples/source_document
#     sagebrush exec -- python prepare.py && sagebrush exec -- python train_pytorch.py

# Launch a training job using the Python SDK
from sagemaker.pytorch import PyTorch
estimator = PyTorch(
    entry_point='train.py',
    role='arn:aws:iam::123456789012:role/SageMakerRole',
    instance_type='ml.p3.2xlarge',
    instance_count=2,
    framework_version='2.1.0',
    py_version='py310',
    hyperparameters={'epochs': 10, 'batch-size': 64},
    distribution={'smdistributed': {'dataparallel': {'enabled': True}}}
)
estimator.fit({'training': 's3://my-bucket/data/train'})
