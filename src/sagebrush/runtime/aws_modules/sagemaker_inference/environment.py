"""Where the model and its code are."""

from __future__ import annotations

import os

base_dir = os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")
model_dir = f"{base_dir}/model"
code_dir = f"{model_dir}/code"
