"""Ray Serve, one replica; RAY_SERVE_* variables choose its HAProxy and throughput mode."""

import logging
import os
import signal

import joblib
import numpy
import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=100, logging_config={"enable_access_log": False})
class Predictor:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    async def __call__(self, request: Request) -> dict[str, int]:
        row = await request.json()
        return {"prediction": int(self.model.predict(numpy.asarray([row]))[0])}


if __name__ == "__main__":
    ray.init(
        include_dashboard=False,
        logging_level=logging.WARNING,
        log_to_driver=False,
        num_cpus=2,
        _temp_dir=os.environ["RAY_FOLDER"],
    )
    serve.start(
        http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])}, logging_config={"log_level": "WARNING"}
    )
    serve.run(Predictor.bind(), route_prefix="/predict", name="benchmark")
    signal.pause()
