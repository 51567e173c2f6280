"""SageMaker's messages about models and endpoints; clients match on their beginnings."""

from __future__ import annotations

from sagebrush.substrate.errors import FAILURE_REASON_LIMIT, CallerError, validation
from sagebrush.substrate.store.text import printable


def model_not_found(name: str, arn: str) -> CallerError:
    """No model has that name."""
    return validation(f'Could not find model "{arn}".')


def model_exists(name: str, arn: str) -> CallerError:
    """The name of a model is taken."""
    return validation(f'Cannot create already existing model "{arn}".')


def config_not_found(name: str, arn: str) -> CallerError:
    """No endpoint configuration has that name."""
    return validation(f'Could not find endpoint configuration "{arn}".')


def config_exists(name: str, arn: str) -> CallerError:
    """The name of an endpoint configuration is taken."""
    return validation(f'Cannot create already existing endpoint configuration "{arn}".')


def endpoint_not_found(name: str, arn: str) -> CallerError:
    """No endpoint has that name."""
    return validation(f'Could not find endpoint "{arn}".')


def endpoint_exists(name: str, arn: str) -> CallerError:
    """The name of an endpoint is taken."""
    return validation(f'Cannot create already existing endpoint "{arn}".')


def in_progress(arn: str) -> CallerError:
    """Nothing can be asked of an endpoint that is on its way from one state to another."""
    return validation(f'Cannot update in-progress endpoint "{arn}".')


def failed(arn: str) -> CallerError:
    """A failed endpoint can only be deleted."""
    return validation(
        f'Cannot update endpoint "{arn}": it is in status Failed. DeleteEndpoint is the only operation that can be '
        "performed on a failed endpoint."
    )


def no_model_data(uri: str) -> CallerError:
    """CreateModel names data that are not there."""
    return validation(f"Could not find model data at {uri}.")


def model_data_denied(uri: str, role_arn: str, region: str) -> CallerError:
    """CreateModel names data that its role may not read."""
    return validation(
        f'Could not access model data at {uri}. Please ensure that the role "{role_arn}" exists and that its trust '
        'relationship policy allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com". '
        f'Also ensure that the role has "s3:GetObject" permissions and that the object is located in {region}. If your '
        'Model uses multiple models or uncompressed models, please ensure that the role has "s3:ListBucket" permission.'
    )


def download_failed(uri: str, why: str) -> str:
    """FailureReason where a replica cannot get its model's data, with what S3 said."""
    return (
        f'Failed to download model data for container "container_1" from URL "{uri}". Please ensure that there is an '
        "object located at the URL and that the role passed to CreateModel has permissions to download the object. "
        f"({why})"
    )


def ping_failed(variant: str, why: str) -> str:
    """FailureReason where a container does not come up, with what it left as explanation."""
    return (
        f"The primary container for production variant {variant} did not pass the ping health check. Please check "
        f"CloudWatch logs for this endpoint. {why}"
    )


def crash_loop(variant: str, crashes: int, why: str) -> str:
    """FailureReason where a container that comes up ends again and again, though nobody asks anything of it."""
    return (
        f"The primary container for production variant {variant} ended {crashes} times in a row, each time before or "
        "within seconds of being ready and without a request. Please check CloudWatch logs for this endpoint. "
        f"{why}"
    )


def timed_out(startup_seconds: int, download_seconds: int) -> str:
    """Why a container that did not answer in time was ended."""
    if not download_seconds:
        return (
            f"It did not answer /ping within {startup_seconds} seconds (ContainerStartupHealthCheckTimeoutInSeconds)."
        )
    return (
        f"It did not answer /ping within {startup_seconds + download_seconds} seconds "
        "(ModelDataDownloadTimeoutInSeconds and ContainerStartupHealthCheckTimeoutInSeconds together)."
    )


def not_placed(seconds: int) -> str:
    """FailureReason where a model's data take too long to be copied to where its replica finds them."""
    return f"The model's data were not in place within {seconds} seconds (ModelDataDownloadTimeoutInSeconds)."


def replaced(why: str, pause_seconds: float) -> str:
    """The line in the log of a replica that ended, where another one comes in its place."""
    # The end of the log is no news to the log.
    why = why.partition(". Last lines of the log: ")[0]
    return reason(f"The model server has ended, another one is started in {pause_seconds:g} s. {why}")


def reason(text: str) -> str:
    """A text as FailureReason takes it."""
    text = printable(text)
    return text if len(text) <= FAILURE_REASON_LIMIT else text[: FAILURE_REASON_LIMIT - 1] + "…"


def could_not_go_on(status: str, error: Exception, resource_id: str) -> str:
    """Why the platform ended what it could not bring further; short enough to keep its last sentence."""
    told = f"{type(error).__name__}: {error}"[:600]
    return reason(
        f"The platform could not bring the endpoint out of {status}: {told}. The platform's log has the details under "
        f"{resource_id}."
    )
