"""The SM_* variables, as SageMaker's training toolkit sets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sagebrush.runtime import training_environment
from sagebrush.runtime.training_environment import TrainingEnvironment


def environment(base: Path, **files: Any) -> TrainingEnvironment:
    config = base / "input/config"
    config.mkdir(parents=True)
    for name, content in files.items():
        (config / f"{name}.json").write_text(json.dumps(content))
    return training_environment.load({"SAGEMAKER_BASE_DIR": str(base), "SM_NUM_CPUS": "2", "SM_NUM_GPUS": "0"})


def full(base: Path) -> TrainingEnvironment:
    return environment(
        base,
        hyperparameters={
            "epochs": "3",
            "lr": "0.1",
            "name": '"quoted"',
            "plain": "text",
            "layers": "[1, 2]",
            "on": "true",
            "b": "7",
            "sagemaker_program": '"train.py"',
            "sagemaker_job_name": '"job-1"',
            "sagemaker_region": '"eu-west-1"',
            "sagemaker_mpi_enabled": "true",
            "sagemaker_container_log_level": "10",
        },
        inputdataconfig={"train": {"ContentType": "text/csv"}, "my-data": {}},
        resourceconfig={
            "current_host": "algo-2",
            "hosts": ["algo-1", "algo-2"],
            "network_interface_name": "eth7",
            "current_instance_type": "ml.m5.large",
            "current_group_name": "workers",
            "instance_groups": [
                {"instance_group_name": "leader", "instance_type": "ml.m5.xlarge", "hosts": ["algo-1"]},
                {"instance_group_name": "workers", "instance_type": "ml.m5.large", "hosts": ["algo-2"]},
            ],
        },
    )


def test_hyperparameters_are_parted_and_decoded(tmp_path: Path) -> None:
    loaded = full(tmp_path)
    assert loaded.hyperparameters == {
        "epochs": 3,
        "lr": 0.1,
        "name": "quoted",
        "plain": "text",
        "layers": [1, 2],
        "on": True,
        "b": 7,
    }
    assert loaded.framework_parameters == {"sagemaker_mpi_enabled": True}
    assert loaded.entry_point == "train.py"
    assert loaded.raw_hyperparameters["name"] == '"quoted"'


def test_user_arguments_are_sorted_and_short_names_have_one_dash(tmp_path: Path) -> None:
    expected = ["-b", "7", "--epochs", "3", "--layers", "[1, 2]", "--lr", "0.1", "--name", "quoted", "--on", "True"]
    assert full(tmp_path).arguments() == [*expected, "--plain", "text"]


def test_variables_have_the_toolkits_names_and_forms(tmp_path: Path) -> None:
    variables = full(tmp_path).variables()
    plain = {
        "SM_CURRENT_HOST": "algo-2",
        "SM_HOSTS": '["algo-1","algo-2"]',
        "SM_NETWORK_INTERFACE_NAME": "eth7",
        "SM_CURRENT_INSTANCE_TYPE": "ml.m5.large",
        "SM_CURRENT_INSTANCE_GROUP": "workers",
        "SM_CURRENT_INSTANCE_GROUP_HOSTS": '["algo-2"]',
        "SM_INSTANCE_GROUPS": '["leader","workers"]',
        "SM_DISTRIBUTION_INSTANCE_GROUPS": '["leader","workers"]',
        "SM_IS_HETERO": "true",
        "SM_CHANNELS": '["my-data","train"]',
        "SM_CHANNEL_TRAIN": str(tmp_path / "input/data/train"),
        "SM_CHANNEL_MY-DATA": str(tmp_path / "input/data/my-data"),
        "SM_HP_EPOCHS": "3",
        "SM_HP_NAME": "quoted",
        "SM_HP_LAYERS": "[1,2]",
        "SM_HP_ON": "true",
        "SM_USER_ENTRY_POINT": "train.py",
        "SM_MODULE_NAME": "train",
        "SM_MODULE_DIR": str(tmp_path / "code"),
        "SM_MODEL_DIR": str(tmp_path / "model"),
        "SM_OUTPUT_DATA_DIR": str(tmp_path / "output/data"),
        "SM_OUTPUT_INTERMEDIATE_DIR": str(tmp_path / "output/intermediate"),
        "SM_OUTPUT_DIR": str(tmp_path / "output"),
        "SM_INPUT_DIR": str(tmp_path / "input"),
        "SM_INPUT_CONFIG_DIR": str(tmp_path / "input/config"),
        "SM_LOG_LEVEL": "10",
        "SM_NUM_CPUS": "2",
        "SM_NUM_GPUS": "0",
        "SM_NUM_NEURONS": "0",
        "SM_FRAMEWORK_PARAMS": '{"sagemaker_mpi_enabled":true}',
        "SM_FRAMEWORK_MODULE": "",
        "SAGEMAKER_JOB_NAME": "job-1",
        "SAGEMAKER_REGION": "eu-west-1",
        "CURRENT_HOST": "algo-2",
    }
    assert {name: variables.get(name) for name in plain} == plain
    assert "SM_TOPOLOGY" not in variables
    assert json.loads(variables["SM_HPS"]) == full(tmp_path / "again").hyperparameters
    assert json.loads(variables["SM_RESOURCE_CONFIG"])["current_host"] == "algo-2"
    assert json.loads(variables["SM_INPUT_DATA_CONFIG"])["train"] == {"ContentType": "text/csv"}
    assert json.loads(variables["SM_INSTANCE_GROUPS_DICT"])["workers"]["hosts"] == ["algo-2"]
    assert json.loads(variables["SM_USER_ARGS"])[:2] == ["-b", "7"]
    told = json.loads(variables["SM_TRAINING_ENV"])
    assert (told["current_host"], told["is_master"], told["master_hostname"]) == ("algo-2", False, "algo-1")
    assert told["hyperparameters"] == json.loads(variables["SM_HPS"])
    assert told["additional_framework_parameters"] == json.loads(variables["SM_FRAMEWORK_PARAMS"])
    assert told["channel_input_dirs"] == {
        name: variables[f"SM_CHANNEL_{name.upper()}"] for name in json.loads(variables["SM_CHANNELS"])
    }
    assert not {"hps", "framework_params", "channels"} & told.keys()


def test_a_job_without_configuration_files_is_one_plain_host(tmp_path: Path) -> None:
    variables = environment(tmp_path).variables()
    assert variables["SM_HOSTS"] == '["algo-1"]'
    assert variables["SM_CHANNELS"] == "[]"
    assert variables["SM_USER_ENTRY_POINT"] == ""
    assert variables["SM_CURRENT_INSTANCE_GROUP"] == "homogeneousCluster"


def test_the_toolkits_base_directory_may_name_the_parent_of_ml(tmp_path: Path) -> None:
    (tmp_path / "ml/input/config").mkdir(parents=True)
    loaded = training_environment.load({"SAGEMAKER_BASE_DIR": str(tmp_path)})
    assert loaded.directories.model == str(tmp_path / "ml/model")
    assert training_environment.load({}).directories.model == "/opt/ml/model"
