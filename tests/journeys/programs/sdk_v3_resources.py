"""The resource classes of sagemaker-core: create, get, get_all, wait, refresh, delete; run by the journeys."""

from __future__ import annotations

import json
import sys

from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, TrainingJob
from sagemaker.core.shapes import (
    AlgorithmSpecification,
    ContainerDefinition,
    OutputDataConfig,
    ProductionVariant,
    ResourceConfig,
    StoppingCondition,
)

PREFIX, ARTEFACT = sys.argv[1:]
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
ROLE = get_execution_role()
OUTPUT = f"s3://{Session().default_bucket()}/{PREFIX}"


def training_job(name: str, program: str) -> TrainingJob:
    return TrainingJob.create(
        training_job_name=f"{PREFIX}-{name}",
        role_arn=ROLE,
        algorithm_specification=AlgorithmSpecification(
            training_image=IMAGE,
            training_input_mode="File",
            container_entrypoint=["python3", "-c", program],
        ),
        resource_config=ResourceConfig(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=5),
        output_data_config=OutputDataConfig(s3_output_path=OUTPUT),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=600),
        tags=[{"key": "team", "value": "journeys"}],
    )


def training() -> dict:
    done = training_job("done", "print('done')")
    done.wait()
    again = TrainingJob.get(done.training_job_name)
    stopped = training_job("stopped", "import time; time.sleep(600)")
    stopped.stop()
    stopped.wait()
    listed = sorted(job.training_job_name for job in TrainingJob.get_all(name_contains=PREFIX))
    done.delete()
    left = [job.training_job_name for job in TrainingJob.get_all(name_contains=PREFIX)]
    try:
        TrainingJob.get(done.training_job_name)
        gone = ""
    except Exception as error:
        gone = str(error)
    return {
        "status": again.training_job_status,
        "stopped": stopped.refresh().training_job_status,
        "listed": [name.removeprefix(PREFIX) for name in listed],
        "left": [name.removeprefix(PREFIX) for name in left],
        "gone": gone,
    }


def serving() -> dict:
    names = [f"{PREFIX}-{number}" for number in (1, 2)]
    for name in names:
        Model.create(
            model_name=name,
            primary_container=ContainerDefinition(image=IMAGE, model_data_url=ARTEFACT),
            execution_role_arn=ROLE,
        )
        variant = ProductionVariant(
            variant_name="AllTraffic",
            model_name=name,
            initial_instance_count=1,
            instance_type="ml.m5.large",
            initial_variant_weight=1.0,
        )
        EndpointConfig.create(endpoint_config_name=name, production_variants=[variant])
    endpoint = Endpoint.create(endpoint_name=PREFIX, endpoint_config_name=names[0])
    endpoint.wait_for_status("InService")
    answers = [invoked(endpoint)]
    endpoint.endpoint_config_name = names[1]
    endpoint.update(retain_all_variant_properties=False)
    endpoint.wait_for_status("InService")
    answers.append(invoked(endpoint))
    models = sorted(model.model_name for model in Model.get_all(name_contains=PREFIX))
    configuration = Endpoint.get(PREFIX).endpoint_config_name
    endpoint.delete()
    endpoint.wait_for_delete()
    for name in names:
        EndpointConfig.get(name).delete()
        Model.get(name).delete()
    return {
        "answers": answers,
        "models": [name.removeprefix(PREFIX) for name in models],
        "configuration": configuration.removeprefix(PREFIX),
        "left": [e.endpoint_name for e in Endpoint.get_all(name_contains=PREFIX)]
        + [m.model_name for m in Model.get_all(name_contains=PREFIX)]
        + [c.endpoint_config_name for c in EndpointConfig.get_all(name_contains=PREFIX)],
    }


def invoked(endpoint: Endpoint) -> list[float]:
    answer = endpoint.invoke(body=json.dumps([1, 2]), content_type="application/json", accept="application/json")
    return json.loads(answer.body.read())


print("RESULT " + json.dumps({"training": training(), "serving": serving()}))
