"""Requests that break rules, and the words that AWS's services find for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire.http import HttpRequest
from tests.substrate.wire.services import engine

NAME_PATTERN = "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"


def call(operation: str, body: object, *, target: str = "SageMaker") -> dict[str, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = HttpRequest("POST", "/", "", {"x-amz-target": f"{target}.{operation}"}, raw)
    return engine().route(request).parse(request)


def refused(operation: str, body: object, **options: Any) -> CallerError:
    with pytest.raises(CallerError) as caught:
        call(operation, body, **options)
    return caught.value


def training_job(**changes: Any) -> dict[str, Any]:
    job: dict[str, Any] = {
        "TrainingJobName": "job-1",
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": "image:1", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    job.update(changes)
    return {name: value for name, value in job.items() if value is not ...}


def test_a_valid_request_is_parsed_as_it_is() -> None:
    assert call("CreateTrainingJob", training_job()) == training_job()


def test_a_missing_required_member_must_not_be_null() -> None:
    error = refused("DescribeTrainingJob", {})
    assert error.code == "ValidationException"
    assert error.message == (
        "1 validation error detected: Value null at 'trainingJobName' failed to satisfy constraint: "
        "Member must not be null"
    )


def test_null_counts_as_missing() -> None:
    assert "Value null at 'roleArn'" in refused("CreateTrainingJob", training_job(RoleArn=None)).message


def test_a_pattern_must_match_the_whole_value() -> None:
    error = refused("DescribeTrainingJob", {"TrainingJobName": "a_b"})
    assert error.message == (
        "1 validation error detected: Value 'a_b' at 'trainingJobName' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {NAME_PATTERN}"
    )


def test_the_length_is_checked_before_the_pattern() -> None:
    error = refused("DescribeTrainingJob", {"TrainingJobName": "_" * 64})
    assert "Member must have length less than or equal to 63" in error.message
    assert "pattern" not in error.message


def test_every_error_is_told_at_once() -> None:
    job = training_job(
        TrainingJobName="a_b",
        OutputDataConfig=...,
        ResourceConfig={"InstanceType": "ml.huge", "InstanceCount": -1, "VolumeSizeInGB": 1},
        Tags=[{"Key": "k", "Value": "v"}, {"Key": "", "Value": "v"}],
    )
    message = refused("CreateTrainingJob", job).message
    assert message.startswith("5 validation errors detected: Value 'a_b' at 'trainingJobName' failed")
    assert "; Value null at 'outputDataConfig' failed to satisfy constraint: Member must not be null" in message
    assert (
        "Value 'ml.huge' at 'resourceConfig.instanceType' failed to satisfy constraint: "
        "Member must satisfy enum value set: [ml.m4.xlarge, "
    ) in message
    assert (
        "Value '-1' at 'resourceConfig.instanceCount' failed to satisfy constraint: "
        "Member must have value greater than or equal to 0"
    ) in message
    assert (
        "Value '' at 'tags.2.member.key' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1"
    ) in message


def test_maps_of_plain_values_answer_as_one() -> None:
    message = refused("CreateTrainingJob", training_job(HyperParameters={"a": "1", "b": "x" * 2501})).message
    assert message.startswith("1 validation error detected: Value '{a=1, b=xxx")
    assert message.endswith(
        "at 'hyperParameters' failed to satisfy constraint: Map value must satisfy constraint: [Member must have "
        "length less than or equal to 2500, Member must have length greater than or equal to 0, Member must satisfy "
        "regular expression pattern: .*]"
    )


def test_keys_of_maps_have_words_of_their_own() -> None:
    message = refused("CreateTrainingJob", training_job(HyperParameters={"x" * 257: "1"})).message
    assert "failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less" in message


def test_lists_of_plain_values_answer_as_one() -> None:
    message = refused("DeleteTags", {"ResourceArn": "arn:aws:sagemaker:us-east-1:1:x/y", "TagKeys": ["a", ""]}).message
    assert "Value '[a, ]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: [Member" in message


def test_too_many_items_are_a_length() -> None:
    tags = [{"Key": str(number), "Value": "v"} for number in range(51)]
    message = refused("CreateTrainingJob", training_job(Tags=tags)).message
    assert "at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50" in message


def test_a_union_takes_exactly_one_member() -> None:
    for problem in ({}, {"TabularJobConfig": {"TargetAttributeName": "y"}, "TextGenerationJobConfig": {}}):
        message = refused("CreateAutoMLJobV2", {"AutoMLProblemTypeConfig": problem}).message
        assert "at 'autoMLProblemTypeConfig' failed to satisfy constraint: Member must have exactly one" in message


def test_a_union_takes_exactly_one_member_in_every_protocol() -> None:
    headers = {"host": "localhost", "content-type": "application/xml"}
    request = HttpRequest("PUT", "/bucket/key", "encryption", headers, b"<ObjectEncryption></ObjectEncryption>")
    with pytest.raises(CallerError) as caught:
        engine().route(request).parse(request)
    assert caught.value.code == "MalformedXML"


def test_values_of_sensitive_members_are_not_repeated() -> None:
    secret = "s" * 200
    request = HttpRequest(
        "POST",
        "/2015-03-31/functions",
        "",
        {"authorization": "AWS4-HMAC-SHA256 Credential=A/20260102/us-east-1/lambda/aws4_request, Signature=0"},
        json.dumps(
            {"FunctionName": "f", "Role": ROLE, "Code": {}, "Environment": {"Variables": {"1 bad": secret}}}
        ).encode(),
    )
    with pytest.raises(CallerError) as caught:
        engine().route(request).parse(request)
    assert "Value at 'environment.variables' failed to satisfy constraint: Map keys" in caught.value.message
    assert secret not in caught.value.message


def test_unknown_members_are_ignored_as_aws_does() -> None:
    assert call("CreateTrainingJob", training_job(Unheard={"of": [1]})) == training_job()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"this is not JSON", "not valid JSON"),
        (b'{"TrainingJobName": "\xff"}', "not valid JSON"),
        (b'{"TrainingJobName": 1e400}', "not valid JSON"),
        (b'{"TrainingJobName": NaN}', "not valid JSON"),
        (b'{"TrainingJobName": "\\ud800"}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"9" * 5000, "not valid JSON"),
        (b"[]", "Expected structure or null"),
        (b'{"TrainingJobName": 7}', "NUMBER_VALUE can not be converted to a String at 'trainingJobName'"),
        (b'{"TrainingJobName": true}', "TRUE_VALUE can not be converted to a String at 'trainingJobName'"),
        (b'{"TrainingJobName": {}}', "Start of structure or map found where not expected at 'trainingJobName'"),
        (
            b'{"ResourceConfig": {"InstanceCount": "1"}}',
            "STRING_VALUE can not be converted to an Integer at 'resourceConfig.instanceCount'",
        ),
        (
            b'{"ResourceConfig": {"InstanceCount": 1.0}}',
            "DECIMAL_VALUE can not be converted to an Integer at 'resourceConfig.instanceCount'",
        ),
        (
            b'{"ResourceConfig": {"InstanceCount": 4294967296}}',
            "Value out of range for Integer at 'resourceConfig.instanceCount'",
        ),
        (
            b'{"StoppingCondition": {"MaxRuntimeInSeconds": 4294967296}}',
            "Value out of range for Integer at 'stoppingCondition.maxRuntimeInSeconds'",
        ),
        (b'{"Tags": {}}', "Expected list or null at 'tags'"),
        (b'{"Tags": ["x"]}', "Expected structure or null at 'tags.1.member'"),
        (b'{"HyperParameters": []}', "Expected map or null at 'hyperParameters'"),
        (
            b'{"HyperParameters": {"epochs": 3}}',
            "NUMBER_VALUE can not be converted to a String at 'hyperParameters.epochs.member'",
        ),
        (b'{"EnableNetworkIsolation": "true"}', "STRING_VALUE can not be converted to a Boolean"),
    ],
)
def test_bodies_of_the_wrong_type_cannot_be_deserialised(body: bytes, words: str) -> None:
    error = refused("CreateTrainingJob", body)
    assert (error.code, error.status) == ("SerializationException", 400)
    assert words in error.message


def test_an_integer_of_too_many_bits_is_refused_in_an_otherwise_valid_request() -> None:
    condition = {"MaxRuntimeInSeconds": 2**31}
    assert refused("CreateTrainingJob", training_job(StoppingCondition=condition)).code == "SerializationException"
    condition["MaxRuntimeInSeconds"] -= 1
    assert call("CreateTrainingJob", training_job(StoppingCondition=condition))["StoppingCondition"] == condition


def test_moments_and_bytes_of_the_wrong_form_cannot_be_deserialised() -> None:
    for value in ("yesterday", True, 1e300):
        assert "a Timestamp at 'creationTimeAfter'" in refused("ListTrainingJobs", {"CreationTimeAfter": value}).message
    error = refused("PublishLayerVersion", {"Content": {"ZipFile": "not base64"}}, target="Nothing")
    assert error.code == "UnknownOperationException"


def test_null_in_a_list_is_told_as_a_missing_value() -> None:
    assert "Value null at 'tags.1.member'" in refused("CreateTrainingJob", training_job(Tags=[None])).message


@pytest.mark.parametrize(
    ("target", "operation", "body", "code"),
    [
        ("Logs_20140328", "CreateLogGroup", {"logGroupName": ""}, "InvalidParameterException"),
        ("AmazonAthena", "GetQueryExecution", {}, "InvalidRequestException"),
        ("GraniteServiceVersion20100801", "DescribeAlarmHistory", {"MaxRecords": 0}, "ValidationError"),
        ("AWSEvents", "DescribeRule", {}, "ValidationException"),
    ],
)
def test_each_service_has_its_own_code_for_invalid_requests(
    target: str, operation: str, body: dict[str, Any], code: str
) -> None:
    error = refused(operation, body, target=target)
    assert error.code == code
    assert error.message.startswith("1 validation error detected: Value")


def test_query_services_say_validation_error() -> None:
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    request = HttpRequest("POST", "/", "", headers, b"Action=GetRole&Version=2010-05-08&RoleName=a%20b")
    with pytest.raises(
        CallerError, match=r"Value 'a b' at 'roleName' failed to satisfy constraint: .* \[\\w\+=,.@-\]\+"
    ):
        engine().route(request).parse(request)


def test_rest_services_miss_what_the_query_string_or_a_header_should_have_said() -> None:
    scope = "AWS4-HMAC-SHA256 Credential=A/20260102/us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=0"
    request = HttpRequest("GET", "/FeatureGroup/g", "FeatureName=f", {"authorization": scope})
    with pytest.raises(CallerError) as caught:
        engine().route(request).parse(request)
    assert caught.value.code == "ValidationError"
    assert "Value null at 'recordIdentifierValueAsString' failed to satisfy constraint" in caught.value.message
    request = HttpRequest(
        "DELETE", "/FeatureGroup/-", "EventTime=1&RecordIdentifierValueAsString=r", {"authorization": scope}
    )
    with pytest.raises(CallerError, match=r"1 validation error detected: Value '-' at 'featureGroupName' failed"):
        engine().route(request).parse(request)


def test_s3_says_invalid_argument_or_malformed_xml() -> None:
    def s3(method: str, path: str, query: str, body: bytes = b"") -> CallerError:
        request = HttpRequest(method, path, query, {"host": "localhost"}, body)
        with pytest.raises(CallerError) as caught:
            engine().route(request).parse(request)
        return caught.value

    error = s3("GET", "/bucket", "list-type=2&max-keys=many")
    assert (error.code, error.members) == ("InvalidArgument", {"ArgumentName": "max-keys", "ArgumentValue": "many"})
    error = s3("GET", "/bucket", "list-type=2&encoding-type=base64")
    assert (error.code, error.members["ArgumentName"]) == ("InvalidArgument", "encoding-type")
    for body in (
        b"<Delete>",
        b"<Delete><Object/></Delete>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><Delete><Object><Key>&b;</Key></Object></Delete>",
        b"\xff",
    ):
        assert s3("POST", "/bucket", "delete", body).code == "MalformedXML"
