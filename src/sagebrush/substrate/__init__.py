"""What every capability stands on. Nothing in here knows a SageMaker resource."""
