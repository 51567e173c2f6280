"""LitServe: one API server, one model worker in a process of its own, the default queue between them."""

import os

import joblib
import litserve
import numpy


class Api(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    def decode_request(self, request: list[float]) -> numpy.ndarray:
        return numpy.asarray([request])

    def predict(self, rows: numpy.ndarray) -> int:
        return int(self.model.predict(rows)[0])

    def encode_response(self, prediction: int) -> dict[str, int]:
        return {"prediction": prediction}


if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", devices=1, workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )
