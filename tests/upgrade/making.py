"""Makes what a data directory of today is to keep for the versions to come; once for each landed milestone.

    sagebrush up --detach --data-dir /tmp/kept
    sagebrush exec --data-dir /tmp/kept -- build/clients/v2/bin/python tests/upgrade/making.py
    sagebrush down --data-dir /tmp/kept

Then its VERSION, state.db, objects/ and keys/platform.key go into ``data_directories/<date>.tar.gz``, and the key
that this prints into ``ACCESS_KEYS``.
"""

from __future__ import annotations

import json
import time

import boto3

#: Of platforms that are no more: good for nothing but these tests.
ACCESS_KEYS = {"2026-11-23": ("AKIARZPUZDIKIXHSNBJA", "K0bnIPWJ50dalULuWCMa665pSrMU3rGKpJmzVUyf")}
_ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
_IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


def _job(name: str, program: str) -> None:
    sagemaker = boto3.client("sagemaker")
    sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=_ROLE,
        AlgorithmSpecification={
            "TrainingImage": _IMAGE,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python3", "-c", program],
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
        },
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        OutputDataConfig={"S3OutputPath": "s3://kept/output"},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
        Tags=[{"Key": "team", "Value": "fixture"}],
    )
    while sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "InProgress":
        time.sleep(0.3)


def main() -> None:
    """Objects, jobs, a model and its endpoint configuration, a user."""
    sagemaker, s3, iam = (boto3.client(service) for service in ("sagemaker", "s3", "iam"))
    s3.create_bucket(Bucket="kept")
    body = b"kept since the fourth landing"
    s3.put_object(Bucket="kept", Key="data/of ümlauts.txt", Body=body, Metadata={"by": "fixture"})
    parts = {"Bucket": "kept", "Key": "parts"}
    parts["UploadId"] = s3.create_multipart_upload(**parts)["UploadId"]
    etag = s3.upload_part(**parts, PartNumber=1, Body=b"p" * 1000)["ETag"]
    s3.complete_multipart_upload(**parts, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    _job("kept-completed", "print('loss=0.25'); open('/opt/ml/model/weights', 'w').write('w')")
    _job("kept-failed", "raise ValueError('kept')")
    sagemaker.create_model(ModelName="kept", ExecutionRoleArn=_ROLE, PrimaryContainer={"Image": _IMAGE})
    variant = {"VariantName": "a", "ModelName": "kept", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="kept", ProductionVariants=[variant])
    iam.create_user(UserName="kept")
    iam.attach_user_policy(UserName="kept", PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    key = iam.create_access_key(UserName="kept")["AccessKey"]
    print(json.dumps([key["AccessKeyId"], key["SecretAccessKey"]]))


if __name__ == "__main__":
    main()
