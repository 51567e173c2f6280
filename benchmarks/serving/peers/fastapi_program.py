"""FastAPI on uvicorn with uvloop and httptools: the server people write themselves."""

import os

import joblib
import numpy
import uvicorn
from fastapi import FastAPI

app = FastAPI()
model = joblib.load(os.environ["MODEL"])


@app.post("/predict")
async def predict(row: list[float]) -> dict[str, int]:
    return {"prediction": int(model.predict(numpy.asarray([row]))[0])}


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        workers=1,
    )
