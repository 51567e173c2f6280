"""BentoML in production mode (``bentoml serve``), one worker, metrics on as by default."""

import os

import bentoml
import joblib
import numpy


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Predictor:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(route="/predict")
    async def predict(self, row: list[float]) -> dict[str, int]:
        return {"prediction": int(self.model.predict(numpy.asarray([row]))[0])}
