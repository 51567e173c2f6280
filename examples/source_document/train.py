"""Train a small network on rows of CSV (label first), on as many processes as there are: one, or many over many hosts.

Every process takes its part of each batch, so that what is learnt does not depend on their number. What it learnt is
left as TorchScript, which an endpoint serves without further code.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import smdistributed.dataparallel.torch.torch_smddp  # noqa: F401 - torch.distributed knows "smddp" from here on
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

SEED = 7


def rows(folder: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Features, scaled to [0, 1], and labels of all files there."""
    table = np.vstack([np.loadtxt(path, delimiter=",", ndmin=2) for path in sorted(Path(folder).glob("*.csv"))])
    features = torch.tensor(table[:, 1:], dtype=torch.float32)
    return features / features.max(), torch.tensor(table[:, 0], dtype=torch.int64)


def train(model: nn.Module, features: torch.Tensor, labels: torch.Tensor, epochs: int, batch_size: int) -> None:
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    if batch_size % world:
        raise ValueError(f"--batch-size {batch_size} cannot be shared evenly by {world} processes")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    order = torch.Generator().manual_seed(SEED)
    for epoch in range(1, epochs + 1):
        # The same on every rank; what fills no whole batch is left for another epoch.
        batches = torch.randperm(len(labels), generator=order).split(batch_size)[: len(labels) // batch_size]
        total = torch.zeros((), device=labels.device)
        for batch in batches:
            mine = batch[rank::world].to(labels.device)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(features[mine]), labels[mine])
            loss.backward()
            optimizer.step()
            total += loss.detach() / world
        if dist.is_initialized():
            dist.all_reduce(total)
        print(f"[rank {rank} of {world}] epoch={epoch} loss={total.item() / len(batches):.6f};", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=64, help="rows of one step, over all processes")
    arguments = parser.parse_args()

    if "WORLD_SIZE" in os.environ:
        dist.init_process_group("smddp")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if torch.cuda.is_available() else "cpu"
    features, labels = (tensor.to(device) for tensor in rows(os.environ["SM_CHANNEL_TRAINING"]))
    torch.manual_seed(SEED)
    network = nn.Sequential(nn.Linear(features.shape[1], 64), nn.ReLU(), nn.Linear(64, int(labels.max()) + 1))
    network.to(device)
    model = DistributedDataParallel(network) if dist.is_initialized() else network
    train(model, features, labels, arguments.epochs, arguments.batch_size)
    if not dist.is_initialized() or dist.get_rank() == 0:
        torch.jit.trace(network.eval().cpu(), features[:1].cpu()).save(Path(os.environ["SM_MODEL_DIR"], "model.pt"))
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
