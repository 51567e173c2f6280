"""Put scikit-learn's handwritten digits where the snippet looks for data: s3://my-bucket/data/train/digits.csv.

A row for each image, without a header: the digit, then 64 shades from 0 to 16. Nothing here knows Sagebrush.
"""

from __future__ import annotations

import io

import boto3
import numpy as np
from sklearn.datasets import load_digits

BUCKET, KEY = "my-bucket", "data/train/digits.csv"


def main() -> None:
    s3 = boto3.client("s3")
    if BUCKET not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=BUCKET)
    images, digits = load_digits(return_X_y=True)
    table = io.BytesIO()
    np.savetxt(table, np.column_stack([digits, images]), delimiter=",", fmt="%d")
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=table.getvalue())
    print(f"{len(digits)} digits are at s3://{BUCKET}/{KEY}")


if __name__ == "__main__":
    main()
